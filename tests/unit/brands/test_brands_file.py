"""What brands.yaml may say, and that a faulty file is refused with sentences that name file, brand and field."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from app.brands import Brand, BrandsFileRefused, EndpointRules, secret_references
from app.brands.load import MAX_FILE_BYTES, parse_brands
from app.brands.secrets import SecretReader
from app.models.block import Channel
from app.models.delivery import PayloadMode, Secret

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
MINIMAL: dict[str, Any] = {"id": "acme", "name": "Acme", "tracking_hosts": ["t.acme.example"]}
ENDPOINT: dict[str, Any] = {"id": "acme-main", "url": "https://hooks.acme.example/", "secrets": ["env:ACME"]}


def brand(**fields: Any) -> dict[str, Any]:
    return {**MINIMAL, **fields}


def endpoint(**fields: Any) -> dict[str, Any]:
    return brand(endpoints=[{**ENDPOINT, **fields}])


def parse(*brands: dict[str, Any], top: dict[str, Any] | None = None, text: str | None = None) -> tuple[Brand, ...]:
    raw = text if text is not None else json.dumps({"version": 1, **(top or {}), "brands": list(brands)})
    reader = SecretReader(Path("no-such-folder"), {"ACME": SECRET}.get)
    return parse_brands("brands.yaml", raw.encode(), reader, EndpointRules())


def faults(*brands: dict[str, Any], top: dict[str, Any] | None = None, text: str | None = None) -> list[str]:
    with pytest.raises(BrandsFileRefused) as caught:
        parse(*brands, top=top, text=text)
    lines = str(caught.value).splitlines()
    assert lines == [str(fault) for fault in caught.value.faults]
    assert all(line.startswith("brands.yaml") for line in lines)
    return lines


def test_a_minimal_brand_gets_careful_defaults() -> None:
    (acme,) = parse(MINIMAL)
    assert acme.channels == {Channel.EMAIL}
    assert acme.sms_host == "t.acme.example"
    assert (acme.header_pixel, acme.footer_pixel) == (False, True)
    assert acme.client_address_policy == "none"
    assert acme.metadata_keys == frozenset()
    assert acme.page.title == "Acme"
    assert acme.endpoints == ()


def test_every_field_arrives() -> None:
    (acme,) = parse(
        brand(
            channels=["email", "sms"],
            tracking_hosts=["T.Acme.example.", "s.bücher.example"],
            sms_host="S.Bücher.example",
            destinations=["Bücher.example"],
            pixel={"header": True, "footer": False},
            tracking={"opens": False, "clicks": False},
            metadata_keys=["campaign", "source"],
            client_address="prefix",
            unsubscribe={"mailto": "stop@Bücher.example", "scope": "brand"},
            page={"title": "Acme & Söhne", "colour": "#AbCdEf", "message": "m", "button": "b", "done": "d"},
            endpoints=[
                {
                    **ENDPOINT,
                    "events": ["message.sent"],
                    "mode": "full",
                    "deadline_seconds": 5,
                    "max_in_flight": 3,
                }
            ],
            retention_days=30,
        )
    )
    assert acme.tracking_hosts == ("t.acme.example", "s.xn--bcher-kva.example")
    assert acme.sms_host == "s.xn--bcher-kva.example"
    assert acme.destinations == ("xn--bcher-kva.example",)
    assert (acme.header_pixel, acme.footer_pixel, acme.track_opens, acme.track_clicks) == (True, False, False, False)
    assert acme.unsubscribe.mailto == "stop@xn--bcher-kva.example"
    assert acme.unsubscribe.scope == "brand"
    assert acme.page.colour == "#abcdef"
    (main,) = acme.endpoints
    assert (main.secrets, main.events, main.mode) == ((Secret(KEY),), {"message.sent"}, PayloadMode.FULL)
    assert (main.brand_id, main.deadline_seconds, main.max_in_flight) == ("acme", 5, 3)
    assert {days for _, days in acme.retention.events} == {30}
    assert SECRET not in repr(acme)
    assert repr(KEY) not in repr(acme)


def test_defaults_complete_mappings_and_give_way_to_the_brand() -> None:
    defaults = {"channels": ["sms"], "page": {"colour": "#111111", "button": "Stop"}, "metadata_keys": ["a"]}
    one, two = parse(
        brand(page={"colour": "#222222"}, metadata_keys=["b"]),
        {"id": "b", "name": "B", "tracking_hosts": ["t.b.example"], "channels": ["email"]},
        top={"defaults": defaults},
    )
    assert (one.page.colour, one.page.button) == ("#222222", "Stop")
    assert one.metadata_keys == {"b"}
    assert one.channels == {Channel.SMS}
    assert (two.page.colour, two.channels) == ("#111111", {Channel.EMAIL})


def test_all_faults_come_at_once_each_with_brand_and_field() -> None:
    lines = faults(
        brand(id="Acme!", chanels=["email"]),
        {"name": "B", "tracking_hosts": ["t.acme.example", "http://x.example/"], "channels": ["fax"]},
        endpoint(id="x", url="http://hooks.acme.example/", secrets=["whsec_c2VjcmV0"], events=["message.eaten"]),
        top={"version": 2, "extra": 1},
    )
    text = "\n".join(lines)
    for part in (
        "brands.yaml, field version: must be 1",
        "brands.yaml, field extra: is not a known field",
        'brand "Acme!", field id: must be 1 to 40',
        'brand "Acme!", field chanels: is not a known field (did you mean channels?)',
        "brand number 2, field id: is missing",
        "brand number 2, field channels[0]: must be 'email' or 'sms'",
        "brand number 2, field tracking_hosts[1]: must be a domain name",
        "brand number 2, field tracking_hosts[0]: host 't.acme.example' is already taken by brand \"Acme!\"",
        'brand "acme", field endpoints[0].url: must begin with https://',
        'brand "acme", field endpoints[0].secrets[0]: must be a reference',
        'brand "acme", field endpoints[0].events[0]: must be one of deliveries.exhausted',
    ):
        assert part in text
    assert "c2VjcmV0" not in text


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"id": "a" * 41}, "field id"),
        ({"id": "a:b"}, "field id"),
        ({"id": 7}, "field id: must be text"),
        ({"name": ""}, "field name: must not be empty"),
        ({"name": "A\r\nX: y"}, "field name: must be one line"),
        ({"name": "x" * 101}, "field name"),
        ({"channels": []}, "field channels: must have at least 1 entry"),
        ({"channels": "email"}, "field channels: must be a list"),
        ({"tracking_hosts": []}, "field tracking_hosts: must have at least 1 entry"),
        ({"tracking_hosts": ["10.0.0.1"]}, "tracking_hosts[0]"),
        ({"tracking_hosts": ["t.acme.example:8080"]}, "tracking_hosts[0]"),
        ({"tracking_hosts": ["t.acme.local"]}, "private suffix"),
        ({"tracking_hosts": ["t.acme.example/x"]}, "tracking_hosts[0]"),
        ({"tracking_hosts": ["*.acme.example"]}, "tracking_hosts[0]"),
        ({"tracking_hosts": ["t.acme.example\nX: y"]}, "tracking_hosts[0]"),
        ({"sms_host": "other.example"}, "sms_host must be one of tracking_hosts"),
        ({"destinations": ["*.shop.example"]}, "covers its subdomains"),
        ({"destinations": ["https://shop.example"]}, "destinations[0]"),
        ({"destinations": ["example"]}, "destinations[0]"),
        ({"destinations": [""]}, "destinations[0]"),
        ({"pixel": {"footer": "yes"}}, "field pixel.footer: must be true or false"),
        ({"pixel": {"foter": True}}, "did you mean footer?"),
        ({"pixel": True}, "field pixel: must be a mapping"),
        ({"tracking": {"opens": 1}}, "field tracking.opens: must be true or false"),
        ({"metadata_keys": ["p"]}, "metadata_keys[0]: must not be p"),
        ({"metadata_keys": ["$ne"]}, "metadata_keys[0]"),
        ({"metadata_keys": ["a.b"]}, "metadata_keys[0]"),
        ({"client_address": "all"}, "field client_address: must be 'none', 'prefix' or 'full'"),
        ({"unsubscribe": {"mailto": "a@b.example\r\nX: y"}}, "field unsubscribe.mailto"),
        ({"unsubscribe": {"mailto": "a@b.example>,<https://evil.test/"}}, "field unsubscribe.mailto"),
        ({"unsubscribe": {"mailto": "a?subject=x@b.example"}}, "field unsubscribe.mailto"),
        ({"unsubscribe": {"mailto": "nobody"}}, "field unsubscribe.mailto"),
        ({"unsubscribe": {"scope": "world"}}, "field unsubscribe.scope"),
        ({"page": {"colour": "red"}}, "field page.colour: must be a colour"),
        ({"page": {"colour": "#fff;background:url(x)"}}, "field page.colour"),
        ({"page": {"title": "a\nb"}}, "field page.title"),
        ({"retention_days": 0}, "field retention_days"),
        ({"retention_days": "30"}, "field retention_days"),
        ({"retention_days": True}, "field retention_days"),
    ],
)
def test_a_field_with_a_wrong_value_is_named(fields: dict[str, Any], part: str) -> None:
    lines = faults(brand(**fields))
    assert len(lines) == 1, lines
    assert part in lines[0]
    assert ", brand " in lines[0]


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"id": "ep_1"}, "endpoints[0].id: must not begin with ep_"),
        ({"url": "https://127.0.0.1/"}, "endpoints[0].url"),
        ({"url": "https://hooks.acme.example:22/"}, "endpoints[0].url: must use port"),
        ({"secrets": []}, "endpoints[0].secrets: must have at least 1 entry"),
        ({"secrets": ["env:ACME"] * 4}, "endpoints[0].secrets"),
        ({"secrets": "env:ACME"}, "endpoints[0].secrets: must be a list"),
        ({"secrets": [SECRET]}, "never the secret itself"),
        ({"secrets": ["env:"]}, "secrets[0]: must be env:NAME"),
        ({"secrets": ["env:A-B"]}, "secrets[0]: must be env:NAME"),
        ({"secrets": ["file:"]}, "secrets[0]: must be file:NAME"),
        ({"secrets": ["file:../x"]}, "must not leave the secrets folder"),
        ({"secrets": ["file:a/../../x"]}, "must not leave the secrets folder"),
        ({"secrets": ["env:MISSING"]}, "secrets[0]: env:MISSING is not set"),
        ({"secrets": ["file:missing"]}, "secrets[0]: file:missing does not exist"),
        ({"events": ["opened"]}, "endpoints[0].events[0]: must be one of"),
        ({"mode": "thick"}, "endpoints[0].mode: must be 'thin' or 'full'"),
        ({"deadline_seconds": 4}, "endpoints[0].deadline_seconds"),
        ({"deadline_seconds": 31}, "endpoints[0].deadline_seconds"),
        ({"max_in_flight": 0}, "endpoints[0].max_in_flight"),
        ({"secret": "env:ACME"}, "did you mean secrets?"),
    ],
)
def test_an_endpoint_with_a_wrong_value_is_named(fields: dict[str, Any], part: str) -> None:
    lines = faults(endpoint(**fields))
    assert len(lines) == 1, lines
    assert part in lines[0]
    assert SECRET.removeprefix("whsec_") not in lines[0]


@pytest.mark.parametrize(
    "again", ["t.acme.example", "T.ACME.example", "t.acme.example.", "ｔ.acme.example", "t。acme.example"]
)
def test_two_brands_never_share_a_tracking_host_however_it_is_spelled(again: str) -> None:
    lines = faults(MINIMAL, {"id": "b", "name": "B", "tracking_hosts": ["t.b.example", again]})
    assert lines == [
        'brands.yaml, brand "b", field tracking_hosts[1]: host \'t.acme.example\' is already taken by brand "acme"'
    ]


def test_idn_and_its_a_label_are_the_same_host() -> None:
    lines = faults(
        brand(tracking_hosts=["t.bücher.example"]),
        {"id": "b", "name": "B", "tracking_hosts": ["T.XN--BCHER-KVA.example"]},
    )
    assert len(lines) == 1
    assert "already taken" in lines[0]


def test_ids_of_brands_and_endpoints_are_unique_in_the_file() -> None:
    other = {**endpoint(), "id": "b", "tracking_hosts": ["t.b.example"]}
    assert "endpoint id 'acme-main' is already taken" in faults(endpoint(), other)[0]
    twin = {"id": "acme", "name": "B", "tracking_hosts": ["t.b.example"]}
    assert "field id: id 'acme' is already taken" in faults(MINIMAL, twin)[0]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "empty"),
        ("- a\n", "must be a mapping"),
        ("version: 1\n", "field brands: is missing"),
        ("version: 1\nbrands: []\n", "field brands: must have at least 1 entry"),
        ("version: 1\nbrands: {}\n", "field brands: must be a list"),
        ("version: 1\nbrands: [x]\n", "field brands[0]: must be a mapping"),
        ("brands: [{id: a, name: A, tracking_hosts: [t.a.example]}]\n", "field version: is missing"),
        ("version: 1\nversion: 1\n", '"version" stands twice'),
        ("version: 1\nbrands:\n  - {id: a, id: b}\n", 'line 3: the key "id" stands twice'),
        ("version: 1\nbrands: [\n", "not valid YAML"),
        ("version: 1\nbrands: [{id: &a x, name: *a}]\n", "anchors"),
        ("version: 1\nbrands: !!python/name:os.system\n", "tags"),
        ("#" * (MAX_FILE_BYTES + 1), "larger than"),
    ],
)
def test_a_file_that_is_no_brands_file_is_refused(text: str, part: str) -> None:
    assert part in faults(text=text)[0]


def test_a_file_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(BrandsFileRefused, match="UTF-8"):
        parse_brands("brands.yaml", b"version: 1\n# \xff\n", SecretReader(Path(), {}.get), EndpointRules())


def test_faulty_defaults_are_reported_once_and_hide_no_fault_of_a_brand() -> None:
    lines = faults(brand(page={"colour": "red"}), top={"defaults": {"page": {"colour": "blue"}, "id": "x"}})
    assert [line.split(":")[0] for line in lines] == [
        "brands.yaml, field defaults.page.colour",
        "brands.yaml, field defaults.id",
        'brands.yaml, brand "acme", field page.colour',
    ]


def test_destinations_end_at_a_label_boundary_and_never_lead_back_to_us() -> None:
    (acme,) = parse(brand(destinations=["shop.example", "acme.example"]))
    assert acme.allows_destination("shop.example")
    assert acme.allows_destination("a.b.shop.example")
    assert not acme.allows_destination("evilshop.example")
    assert not acme.allows_destination("shop.example.evil.test")
    assert not acme.allows_destination("t.acme.example"), "a tracked link to a tracked link can be a loop"
    (anywhere,) = parse(MINIMAL)
    assert anywhere.allows_destination("shop.example")
    assert not anywhere.allows_destination("localhost")
    assert not anywhere.allows_destination("printer.local")
    assert not anywhere.allows_destination("t.acme.example")


def test_references_are_listed_even_where_the_secrets_are_missing() -> None:
    raw = json.dumps({"version": 1, "brands": [endpoint(secrets=["file:b", "env:A", "file:b"]), brand()]})
    assert secret_references("brands.yaml", raw.encode()) == ("env:A", "file:b")
