"""The `archive:` of a brand: what is accepted, and that keys are only ever references."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from pydantic import ValidationError

from app.brands.archive_schema import ArchiveSchema, archive_place
from app.brands.endpoint_schema import EndpointRules

KEYS = {"access_key_id": "env:ALDER_KEY_ID", "secret_access_key": "file:alder-key"}
STORE = {"endpoint_url": "https://Objects.Alder.example", **KEYS}
PLACE = {"bucket": "alder-archive", "region": "eu-central-1"}


def read(entry: dict[str, Any], rules: EndpointRules | None = None) -> ArchiveSchema:
    return ArchiveSchema.model_validate(entry, context=rules)


def test_the_machines_role_needs_no_keys() -> None:
    place = archive_place(read(PLACE), {}.get)
    assert (place.access_key_id, place.secret_access_key, place.endpoint_url, place.prefix) == (None, None, None, "")


def test_keys_are_what_the_references_lead_to() -> None:
    place = archive_place(
        read({**PLACE, **STORE, "prefix": "telltale/"}),
        {"env:ALDER_KEY_ID": "AKID", "file:alder-key": "hush"}.get,
    )
    assert (place.access_key_id, place.secret_access_key) == ("AKID", "hush")
    assert place.endpoint_url == "https://objects.alder.example/"
    assert "hush" not in repr(place)
    assert "AKID" not in repr(place)


@pytest.mark.parametrize(
    "change",
    [
        {"bucket": "UPPER"},
        {"bucket": "a"},
        {"bucket": "192.0.2.1"},
        {"bucket": "two..dots"},
        {"bucket": "with/slash"},
        {"region": "eu central"},
        {"region": "evil.example/"},
        {"prefix": "/rooted/"},
        {"prefix": "no-slash"},
        {"prefix": "a/../b/"},
        {"access_key_id": "env:ALDER_KEY_ID"},
        {**KEYS, "secret_access_key": "wJalrXUtnFEMI"},
        {"endpoint_url": "https://objects.alder.example"},
        {**STORE, "endpoint_url": "http://objects.alder.example"},
        {**STORE, "endpoint_url": "https://127.0.0.1"},
        {**STORE, "endpoint_url": "https://objects.internal"},
        {**STORE, "endpoint_url": "https://key:secret@objects.alder.example"},
        {**STORE, "endpoint_url": "https://objects.alder.example/path"},
        {**STORE, "endpoint_url": "https://objects.alder.example/?x=/"},
        {"acl": "public-read"},
    ],
)
def test_what_is_wrong_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read({**PLACE, **change})


def test_the_operator_may_open_a_network() -> None:
    rules = EndpointRules(allow_http=True, allow_networks=(ipaddress.ip_network("127.0.0.0/8"),))
    assert read({**PLACE, **STORE, "endpoint_url": "http://127.0.0.1:9000"}, rules).endpoint_url


def test_a_key_that_is_none_is_refused_without_quoting_it() -> None:
    with pytest.raises(ValueError, match="env:ALDER_KEY_ID") as refused:
        archive_place(read({**PLACE, **KEYS}), lambda _: "two\nlines")
    assert "two" not in str(refused.value)
