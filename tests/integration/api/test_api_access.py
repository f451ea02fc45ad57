"""Who gets in, what is refused before a handler runs, and how every error looks."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.models.api_key import Scope
from app.services import Services
from app.storage.messages import Messages
from app.web.api import OPERATIONS
from app.web.strict_json import MAX_BYTES
from tests.integration.api.api_bodies import Call, assert_problem, email

CALLS = [
    (operation.method, "/v1" + operation.path.replace("{message_id}", "msg_x").replace("{endpoint_id}", "ep_x"))
    for operation in OPERATIONS
]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_every_call_needs_a_key(client: FlaskClient, method: str, path: str) -> None:
    for header in (None, "Bearer", "Bearer tt_x", "Basic dXNlcjpwdw==", "Bearer tt_" + "a" * 12 + "_" + "a" * 52):
        response = client.open(path, method=method, headers={} if header is None else {"Authorization": header})
        assert_problem(response, 401, "unauthenticated")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_right_id_with_a_wrong_secret_does_not_get_in(client: FlaskClient, key_of: Callable[..., str]) -> None:
    key = key_of("alder")
    wrong = key[:-1] + ("a" if key[-1] != "a" else "b")
    assert_problem(client.get("/v1/events", headers={"Authorization": f"Bearer {wrong}"}), 401, "unauthenticated")
    assert client.get("/v1/events", headers={"Authorization": f"Bearer {key}"}).status_code == 200


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_every_call_needs_its_scope(client: FlaskClient, key_of: Callable[..., str], method: str, path: str) -> None:
    (needed,) = {op.scope for op in OPERATIONS if (op.method, _filled(op.path)) == (method, path)}
    header = {"Authorization": f"Bearer {key_of('alder', *(set(Scope) - {needed}))}"}
    assert_problem(client.open(path, method=method, headers=header), 403, "missing_scope")
    enough = {"Authorization": f"Bearer {key_of('alder', needed)}"}
    assert client.open(path, method=method, headers=enough).status_code not in (401, 403)


def _filled(path: str) -> str:
    return "/v1" + path.replace("{message_id}", "msg_x").replace("{endpoint_id}", "ep_x")


def test_a_revoked_key_does_not_get_in(client: FlaskClient, key_of: Callable[..., str], services: Services) -> None:
    key = key_of("alder")
    assert services.api_keys.revoke(key.split("_")[1])
    assert_problem(client.get("/v1/events", headers={"Authorization": f"Bearer {key}"}), 401, "unauthenticated")


def test_a_key_of_a_brand_that_is_gone_does_not_get_in(client: FlaskClient, key_of: Callable[..., str]) -> None:
    header = {"Authorization": f"Bearer {key_of('former')}"}
    assert_problem(client.get("/v1/events", headers=header), 401, "unauthenticated")


def test_use_of_a_key_is_noted_but_not_on_every_call(call: Call, services: Services) -> None:
    call("GET", "/v1/events")
    (first,) = services.api_keys.of_brand("alder")
    assert first.last_used_at is not None
    for _ in range(3):
        call("GET", "/v1/events")
    assert services.api_keys.of_brand("alder") == [first]


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b"[]", 400, "json_not_an_object"),
        (b'{"channel": NaN}', 400, "invalid_json"),
        (b'{"channel": "email", "channel": "sms"}', 400, "json_duplicate_name"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, 400, "json_too_deep"),
        (b'{"a":' * 100_000, 400, "invalid_json"),
        (b"{}", 422, "invalid_request"),
        (b'{"x": "' + b"y" * 10_000_000 + b'"}', 413, "body_too_large"),
    ],
)
def test_a_bad_body_is_a_clear_error_and_nothing_is_stored(
    call: Call, services: Services, raw: bytes, status: int, code: str
) -> None:
    response = call("POST", "/v1/messages", data=raw, content_type="application/json", idempotency="k")
    assert_problem(response, status, code)
    for name in ("blocks", "messages", "idempotency"):
        assert services.database[name].count_documents({}) == 0


def test_a_body_just_below_the_limit_is_read(call: Call) -> None:
    html = "<p>" + "x" * (2 * 1024 * 1024 - 3)
    assert call("POST", "/v1/messages", email(content={"html": html})).status_code == 201
    filler = b'{"x": "' + b"y" * (MAX_BYTES - 9) + b'"}'
    response = call("POST", "/v1/messages", data=filler, content_type="application/json")
    assert_problem(response, 422, "invalid_request")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_another_media_type_is_415(call: Call, headers: dict[str, str]) -> None:
    response = call("POST", "/v1/messages", data=json.dumps(email()), headers=headers)
    assert_problem(response, 415, "unsupported_media_type")


INJECTIONS = ["\r\nSet-Cookie: a=b", "\n", "\r", "\x00", "\x7f", "\u2028"]


@pytest.mark.parametrize("bad", INJECTIONS)
@pytest.mark.parametrize(
    "place",
    [
        ("campaign_id",),
        ("list_id",),
        ("job_source",),
        ("metadata", "shop"),
        ("recipients", 0, "address"),
        ("recipients", 0, "id"),
        ("recipients", 0, "name"),
        ("recipients", 0, "metadata", "order"),
    ],
)
def test_header_injection_is_refused_in_every_field(
    call: Call, services: Services, place: tuple[Any, ...], bad: str
) -> None:
    body: Any = email()
    inner = body
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] += bad
    response = call("POST", "/v1/messages", body)
    assert response.status_code in (400, 422)
    assert response.content_type == "application/problem+json"
    assert "Set-Cookie" not in response.headers
    assert services.database["blocks"].count_documents({}) == 0


def test_a_link_with_line_breaks_never_reaches_a_redirect(call: Call) -> None:
    html = '<a href="https://alder.example/a&#13;&#10;Set-Cookie: x=y">x</a>'
    response = call("POST", "/v1/messages", email(content={"html": html}))
    if response.status_code == 201:  # browsers drop line breaks in a URL, and so do we
        for link in response.get_json()["messages"][0]["links"]:
            assert not set(link["url"]) & set("\r\n")
    else:
        assert_problem(response, 422, "invalid_destination")


def test_mongo_operators_are_never_read_as_values(call: Call) -> None:
    for change in ({"campaign_id": {"$ne": None}}, {"metadata": {"$where": "1"}}, {"channel": {"$gt": ""}}):
        assert_problem(call("POST", "/v1/messages", email(**change)), 422, "invalid_request")


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "unknown=1", "limit=1&limit=2", "type=opened", "cursor=%00"])
def test_a_bad_query_is_400(call: Call, query: str) -> None:
    response = call("GET", f"/v1/events?{query}")
    assert response.status_code == 400
    assert response.get_json(force=True)["code"] in ("invalid_parameter", "invalid_cursor")


def test_unknown_paths_and_methods_are_problems_too(call: Call, client: FlaskClient) -> None:
    for path in ("/v1", "/v1/", "/v1/nothing", "/v1/messages/a/b", "/v1/events/"):
        assert_problem(client.get(path), 404, "not_found")
    response = client.delete("/v1/messages")
    assert_problem(response, 405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]
    assert client.get("/elsewhere").content_type.startswith("text/html")


@pytest.mark.parametrize("path", ["/v1/events", "/v1/nothing", "/v1/openapi.json", "/v1/messages"])
def test_every_answer_is_neither_cached_nor_sniffed(call: Call, client: FlaskClient, path: str) -> None:
    for response in (call("GET", path), client.get(path)):
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_an_internal_error_tells_the_client_nothing(
    call: Call, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Messages, messages: object) -> None:
        raise RuntimeError("mark-of-the-fault ada@mail.example")

    monkeypatch.setattr(Messages, "insert_many", fail)
    with caplog.at_level(logging.INFO):
        response = call("POST", "/v1/messages", email())
    assert_problem(response, 500, "internal_error")
    text = response.get_data(as_text=True)
    for leak in ("mark-of-the-fault", "Traceback", "RuntimeError", ".py", "ada@"):
        assert leak not in text
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == ["api_failed"]


def test_an_unavailable_store_is_503_with_retry_after(call: Call, services: Services) -> None:
    call("GET", "/v1/events")
    services.database.client.close()
    services.__dict__.pop("database")
    from pymongo import MongoClient

    dead: MongoClient[dict[str, Any]] = MongoClient(
        "mongodb://127.0.0.1:1/", serverSelectionTimeoutMS=100, timeoutMS=200
    )
    services.__dict__["database"] = dead.get_database("gone")
    services.__dict__.pop("events", None)
    response = call("GET", "/v1/events")
    dead.close()
    assert_problem(response, 503, "unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert "127.0.0.1" not in response.get_data(as_text=True)
