"""The bytes of a request at a given time: what is signed, for whom, and that nothing adds a line to it."""

from __future__ import annotations

import json
import re
import tomllib
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from app.lib.http_url import check_endpoint_url
from app.models.delivery import Delivery, Endpoint, Item, Secret
from app.webhooks.request import VERSION, build_request, read_target

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
OLD_TEXT = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
NEW_TEXT = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
BODY = b'{"id":"evt_01JGFJJZ00N5Q8ZK3W7D9XBTEM","name":"Zo\xc3\xab"}'
NOW = datetime.now(UTC)
ENDPOINT = Endpoint("main", "harbour", "https://hooks.harbour.example/in?k=1", (Secret(OLD),))
DELIVERY = Delivery("d", "main", "harbour", (Item("evt_01JGFJJZ00N5Q8ZK3W7D9XBTEM", "message.opened", BODY),), NOW, NOW)


def request(
    endpoint: Endpoint = ENDPOINT, delivery: Delivery = DELIVERY, now: datetime | None = None
) -> tuple[dict[str, str], bytes]:
    """The headers and the body as a receiver reads them; no header comes twice."""
    now = now or datetime.now(UTC)  # not when this file was read: verifiers accept five minutes
    data = build_request(read_target(endpoint.url), endpoint, delivery, endpoint.keys_at(now), now)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = [line.split(": ", 1) for line in head.decode("ascii").split("\r\n")[1:]]
    assert len({name for name, _ in lines}) == len(lines)
    return dict(lines), body


def test_the_request_line_and_host_are_as_saved() -> None:
    target = read_target("http://hooks.harbour.example:8080/a%2Fb?c=%0d&d")
    endpoint = replace(ENDPOINT, url="http://hooks.harbour.example:8080/a%2Fb?c=%0d&d")
    data = build_request(target, endpoint, DELIVERY, (OLD,), NOW)
    assert data.startswith(b"POST /a%2Fb?c=%0d&d HTTP/1.1\r\nhost: hooks.harbour.example:8080\r\n")


def test_the_user_agent_names_the_projects_version() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION
    assert request()[0]["user-agent"] == f"Telltale-Webhooks/{VERSION}"


def test_a_retry_hours_later_has_the_same_id_and_bytes_and_a_time_that_verifies() -> None:
    first, first_body = request(now=NOW - timedelta(hours=5))
    now = datetime.now(UTC)
    again, again_body = request(delivery=replace(DELIVERY, attempts=4), now=now)
    assert (again["webhook-id"], again_body) == (first["webhook-id"], first_body)
    assert (again["x-telltale-attempt"], again["webhook-timestamp"]) == ("5", str(int(now.timestamp())))
    Webhook(OLD_TEXT).verify(again_body, again)
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD_TEXT).verify(first_body, first)


def test_a_capture_that_is_played_again_after_six_minutes_does_not_verify() -> None:
    headers, body = request(now=NOW - timedelta(minutes=6))
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(OLD_TEXT).verify(body, headers)


def test_during_a_rotation_both_secrets_verify_and_afterwards_the_new_one_only() -> None:
    rotated = replace(ENDPOINT, secrets=(Secret(NEW), Secret(OLD, expires_at=NOW + timedelta(hours=24))))
    headers, body = request(rotated)
    assert re.fullmatch(r"v1,[A-Za-z0-9+/]{43}= v1,[A-Za-z0-9+/]{43}=", headers["webhook-signature"])
    for text in (NEW_TEXT, OLD_TEXT):
        Webhook(text).verify(body, headers)
    expired = replace(ENDPOINT, secrets=(Secret(NEW), Secret(OLD, expires_at=NOW)))
    headers, body = request(expired)
    Webhook(NEW_TEXT).verify(body, headers)
    assert " " not in headers["webhook-signature"]
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD_TEXT).verify(body, headers)


def test_after_a_revocation_the_next_request_has_one_signature() -> None:
    headers, _ = request(replace(ENDPOINT, secrets=(Secret(NEW),)))
    assert headers["webhook-signature"].count("v1,") == 1


def test_a_delivery_is_never_signed_for_another_brand_or_endpoint() -> None:
    for other in (replace(ENDPOINT, brand_id="meadow"), replace(ENDPOINT, id="second")):
        with pytest.raises(ValueError, match="own endpoint"):
            request(other)
        with pytest.raises(ValueError, match="own endpoint"):
            request(other, replace(DELIVERY, batch_id="bat_01JGFJM0000000000000000001"))


_KEYS = st.lists(st.binary(min_size=24, max_size=64), min_size=2, max_size=6, unique=True)
_BODIES = st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=9)), min_size=1, max_size=3)


@given(_KEYS, _BODIES, st.booleans())
def test_a_brands_body_verifies_with_its_own_secrets_and_with_no_other(
    keys: list[bytes], bodies: list[dict[str, str]], batched: bool
) -> None:
    items = tuple(Item("evt_1", "message.opened", json.dumps(body).encode()) for body in bodies)
    delivery = replace(DELIVERY, items=items, batch_id="bat_1" if batched else "")
    own, others = keys[: len(keys) // 2], keys[len(keys) // 2 :]
    headers, body = request(replace(ENDPOINT, secrets=tuple(map(Secret, own))), delivery, datetime.now(UTC))
    for key in own:
        Webhook("whsec_" + b64encode(key).decode()).verify(body, headers)
    for key in others:
        with pytest.raises(WebhookVerificationError):
            Webhook("whsec_" + b64encode(key).decode()).verify(body, headers)


def test_no_key_is_in_the_request() -> None:
    endpoint = replace(ENDPOINT, headers=(("authorization", "Bearer t"),))
    data = build_request(read_target(endpoint.url), endpoint, DELIVERY, (OLD, NEW), NOW)
    for key, text in ((OLD, OLD_TEXT), (NEW, NEW_TEXT)):
        assert key not in data
        assert key.hex().encode() not in data
        assert text.removeprefix("whsec_").encode() not in data


def test_the_brands_own_headers_go_along() -> None:
    headers, _ = request(replace(ENDPOINT, headers=(("authorization", "Bearer t"), ("x-route", "a b"))))
    assert (headers["authorization"], headers["x-route"]) == ("Bearer t", "a b")


@pytest.mark.parametrize(
    "header",
    [("x-a", "1\r\nx-b: 2"), ("x-a\r\nx-b", "1"), ("webhook-id", "evt_2"), ("Content-Length", "0"), ("x", "é")],
)
def test_a_header_that_was_saved_against_the_rules_is_not_sent(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        request(replace(ENDPOINT, headers=(header,)))


@pytest.mark.parametrize(
    "url",
    [
        *("", "hooks.harbour.example", "ftp://hooks.harbour.example/", "https://", "https:///", "https://a/ b"),
        *("https://ann@hooks.harbour.example/", "https://hooks.harbour.example\\@127.0.0.1/", "https://a\t.example/"),
        *(
            "https://hooks.harbour.example/\r\nx: y",
            "https://hooks.harbour.example/#a\n",
            "https://a:0/",
            "https://a:65536/",
        ),
        *("https://bücher.example/", "https://a/\0", "HTTPS://a/", "https://[::1/", "https://a:１/"),
    ],
)
def test_only_a_url_in_the_form_of_a_saved_one_is_sent_to(url: str) -> None:
    with pytest.raises(ValueError):
        read_target(url)


@given(st.text(alphabet="aé.:/@\\?[]%01 \t\n-_①／ß", max_size=24))
def test_whatever_may_be_saved_can_be_sent_to_and_means_the_same_host(rest: str) -> None:
    try:
        url = check_endpoint_url("https://hooks.shop.example" + rest)
    except ValueError:
        return
    target = read_target(url)
    assert url == f"https://{target.authority}{target.path}"
    assert target.host in url
