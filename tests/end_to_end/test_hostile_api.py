"""Hostile and broken calls of the API through nginx: each gets a problem document, stores nothing, shows no trace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo.database import Database

from tests.end_to_end.client import Client
from tests.end_to_end.hostile import answer_to, ask, counts, is_problem, message, shows_nothing


@pytest.fixture(scope="module")
def foreign(client: Client) -> str:
    """The id of a message of `ibis`."""
    (registered,) = client.register("ibis", message("ibis"))
    return str(registered["id"])


@pytest.fixture(autouse=True)
def nothing_stored(database: Database[Any], foreign: str) -> Iterator[None]:
    before = counts(database)
    yield
    assert counts(database) == before


@pytest.mark.parametrize(("size", "code"), [(10_000_000, "body_too_large"), (13_000_000, None)])
def test_a_body_that_is_too_large_is_413(client: Client, size: int, code: str | None) -> None:
    body = b'{"x": "' + b"y" * size + b'"}'
    key = {"Idempotency-Key": f"large-{size}"}
    is_problem(client.api("POST", "/v1/messages", "heron", body=body, headers=key), 413, code)


def test_a_method_the_api_does_not_have_is_405(client: Client) -> None:
    for method, path in (("GET", "/v1/messages"), ("DELETE", "/v1/messages/msg_x"), ("PUT", "/v1/endpoints")):
        answer = client.api(method, path, "heron")
        is_problem(answer, 405, "method_not_allowed")
        assert answer.headers["Allow"]


DEEP = b'{"a":' * 100 + b"1" + b"}" * 100


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b"\xff\xfe{}", 400, "invalid_json"),
        (b'{"channel": NaN}', 400, "invalid_json"),
        (b'{"channel": -Infinity}', 400, "invalid_json"),
        (b'{"channel": 1e999}', 400, "invalid_json"),
        (b'{"a": "\\ud800"}', 400, "invalid_json"),
        (b'{"a": "\\u0000"}', 400, "invalid_json"),
        (b"[]", 400, "json_not_an_object"),
        (b"null", 400, "json_not_an_object"),
        (b'"text"', 400, "json_not_an_object"),
        (b'{"channel": "email", "channel": "sms"}', 400, "json_duplicate_name"),
        (DEEP, 400, "json_too_deep"),
        (b"[" * 100_000, 400, "invalid_json"),
        (b"[" * 500 + b"]" * 500, 400, "json_too_deep"),
        (b'{"n": ' + b"9" * 100_000 + b"}", 400, "invalid_json"),
        (b"{}", 422, "invalid_request"),
        (b'{"__proto__": {"$ne": null}}', 422, "invalid_request"),
    ],
)
def test_a_body_that_is_no_sound_object_is_refused(client: Client, body: bytes, status: int, code: str) -> None:
    for path in ("/v1/messages", "/v1/endpoints"):
        answer = client.api("POST", path, "heron", body=body, headers={"Idempotency-Key": "hostile"})
        is_problem(answer, status, code)


INJECTED = "x\r\nSet-Cookie: a=b"


@pytest.mark.parametrize(
    "change",
    [
        {"recipients": [{"address": f"ann@heron.example{INJECTED}"}]},
        {"recipients": [{"address": "ann@heron.example", "name": INJECTED}]},
        {"recipients": [{"address": "ann@heron.example", "id": INJECTED}]},
        {"recipients": [{"address": "ann@heron.example", "metadata": {INJECTED: "x"}}]},
        {"recipients": [{"address": "ann@heron.example", "metadata": {"x": INJECTED}}]},
        {"recipients": [{"address": {"$ne": ""}}]},
        {"recipients": []},
        {"recipients": [{"address": "ann@heron.example"}] * 1001},
        {"campaign_id": INJECTED},
        {"campaign_id": {"$gt": ""}},
        {"list_id": INJECTED},
        {"job_source": "x\x7f"},
        {"metadata": {"$where": "1"}},
        {"metadata": {"a.b": "1"}},
        {"metadata": {"a": "x" * 3000}},
        {"content": {"html": "<p>x"}, "channel": "sms"},
        {"content": {}},
        {"content": {"html": 1}},
        {"unknown": 1},
    ],
)
def test_a_field_that_may_not_be_so_is_refused(client: Client, change: dict[str, Any]) -> None:
    is_problem(client.api("POST", "/v1/messages", "heron", message("heron", **change)), 422, "invalid_request")


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "https://evilibis.example/",
        "https://ibis.example.evil.example/",
        "https://ibis.example@evil.example/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://2130706433/",
    ],
)
def test_links_that_the_brand_forbids_are_refused(client: Client, url: str) -> None:
    body = message("ibis", f'<a href="{url}">x</a>')
    answer = client.api("POST", "/v1/messages", "ibis", body, headers={"Idempotency-Key": "hostile"})
    is_problem(answer, 422, "invalid_destination")


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer tt_x",
        "Basic dXNlcjpwYXNz",
        "Bearer " + "t" * 9000,
        "Bearer tt_\xe9",
        "bearer null",
    ],
)
def test_without_a_key_nothing_is_said(client: Client, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, path in (("POST", "/v1/messages"), ("GET", "/v1/events"), ("GET", "/v1/messages/msg_x")):
        answer = client.api(method, path, json=message("heron") if method == "POST" else None, headers=headers)
        is_problem(answer, 401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_brand_does_not_see_another_brands_message(client: Client, foreign: str) -> None:
    for method, path, body in (("GET", "", None), ("POST", "/events", {"type": "sent"})):
        is_problem(client.api(method, f"/v1/messages/{foreign}{path}", "heron", body), 404, "not_found")
    assert client.api("GET", f"/v1/messages/{foreign}", "ibis").json()["state"] == "registered"


@pytest.mark.parametrize("key", ["a b", "\xe9", "x" * 256, "a\tb"])
def test_an_idempotency_key_that_is_none_is_refused(client: Client, key: str) -> None:
    answer = client.api("POST", "/v1/messages", "heron", message("heron"), headers={"Idempotency-Key": key})
    is_problem(answer, 400, "invalid_idempotency_key")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://10.0.0.1/x", "a private network"),
        ("http://169.254.169.254/latest/meta-data", "the cloud's own"),
        ("ftp://hooks.heron.example/", "no http"),
        ("https://hooks.heron.example:22/", "another port"),
        ("https://user:secret@hooks.heron.example/", "a login"),
        ("https://localhost/", "no public name"),
        ("http://2130706433/", "a number"),
        ("https://hooks.heron.example/\r\nX: y", "a line feed"),
    ],
)
def test_an_endpoint_that_leads_inside_is_refused(client: Client, url: str, why: str) -> None:
    answer = client.api("POST", "/v1/endpoints", "heron", {"url": url}, headers={"Idempotency-Key": "hostile"})
    shows_nothing(answer)
    assert answer.status == 422, why
    assert b"secret" not in answer.body


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v1/unknown",
        "/unknown",
        "/O/x",
        "/c",
        "/.git/config",
        "/v1/messages/../../x",
        "/v1/messages/msg_%00",
    ],
)
def test_an_unknown_path_is_a_plain_404(client: Client, path: str) -> None:
    answer = answer_to(client, ask(f"GET {path}", more="Authorization: Bearer x\r\n"))
    # A path without a key is refused before its message is looked for.
    assert answer.status in (400, 401, 404)
