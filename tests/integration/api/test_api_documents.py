"""The OpenAPI document and the docs page: valid, complete, and true of what the API really answers."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.web.problems import CODES
from tests.integration.api.api_bodies import Call, email, sms


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    response = client.get("/v1/openapi.json")
    assert response.status_code == 200
    assert response.content_type == "application/json"
    found: dict[str, Any] = response.get_json()
    return found


def schema_of(document: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    (media,) = content.values()
    return {**media["schema"], "components": document["components"]}


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_under_v1_is_in_the_document_and_the_other_way_round(
    flask_app: Flask, document: dict[str, Any]
) -> None:
    routes = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in flask_app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/v1/") and rule.rule != "/v1/openapi.json"
    }
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert routes == described
    assert len(routes) == 28


def test_every_operation_says_how_it_fails(document: dict[str, Any]) -> None:
    for methods in document["paths"].values():
        for operation in methods.values():
            assert {"400", "401", "403", "500", "503"} <= operation["responses"].keys()
            assert operation["operationId"]
            assert operation["summary"]


def test_answers_are_what_the_document_says(document: dict[str, Any], call: Call, client: FlaskClient) -> None:
    (message,) = call("POST", "/v1/messages", email()).get_json()["messages"]
    one = f"/v1/messages/{message['id']}"
    made = call(
        "POST", "/v1/endpoints", {"url": "https://hooks.alder.example/in", "batching": {}, "rate_per_second": 1}
    )
    endpoint = f"/v1/endpoints/{made.get_json()['id']}"
    tested = call("POST", f"{endpoint}/test")
    call("PATCH", endpoint, {"disabled": True})
    replays = [call("POST", "/v1/replays", {"since": "2026-01-01T00:00:00Z", "dry_run": dry}) for dry in (True, False)]
    replay = f"/v1/replays/{replays[1].get_json()['id']}"
    answers = [
        ("/v1/messages", call("POST", "/v1/messages", email(pixel="both"))),
        ("/v1/messages", call("POST", "/v1/messages", sms())),
        ("/v1/messages", call("POST", "/v1/messages", email(**{"return": "links"}))),
        ("/v1/messages", call("POST", "/v1/messages", email(channel="fax"))),
        ("/v1/messages", client.post("/v1/messages")),
        ("/v1/messages/{message_id}/events", call("POST", f"{one}/events", {"type": "sent"})),
        ("/v1/messages/{message_id}", call("GET", one)),
        ("/v1/messages/{message_id}", call("GET", "/v1/messages/msg_unknown")),
        ("/v1/messages/{message_id}/explain", call("GET", f"{one}/explain")),
        ("/v1/events", call("GET", "/v1/events")),
        ("/v1/events", call("GET", "/v1/events?limit=0")),
        ("/v1/stats", call("GET", "/v1/stats?view=all")),
        ("/v1/stats", call("GET", "/v1/stats?by=day&from=2026-01-01&to=2026-01-02")),
        ("/v1/stats", call("GET", f"/v1/stats?by=link&message_id={message['id']}")),
        ("/v1/stats", call("GET", "/v1/stats?by=link")),
        ("/v1/stats/definitions", call("GET", "/v1/stats/definitions")),
        ("/v1/endpoints", made),
        ("/v1/endpoints", call("GET", "/v1/endpoints")),
        ("/v1/endpoints/{endpoint_id}", call("GET", endpoint)),
        ("/v1/endpoints/{endpoint_id}", call("PATCH", endpoint, {"disabled": False, "recover": True})),
        ("/v1/endpoints/{endpoint_id}", call("PATCH", endpoint, {"max_in_flight": 0})),
        ("/v1/endpoints/{endpoint_id}/test", tested),
        ("/v1/endpoints/{endpoint_id}/secrets", call("POST", f"{endpoint}/secrets", {})),
        ("/v1/deliveries", call("GET", "/v1/deliveries")),
        ("/v1/deliveries/{delivery_id}", call("GET", f"/v1/deliveries/{tested.get_json()['delivery_id']}")),
        *(("/v1/replays", answer) for answer in replays),
        ("/v1/replays", call("GET", "/v1/replays")),
        ("/v1/replays/{replay_id}", call("GET", replay)),
        ("/v1/replays/{replay_id}", call("DELETE", replay)),
    ]
    for path, response in answers:
        described = document["paths"][path][response.request.method.lower()]["responses"][str(response.status_code)]
        if "$ref" in described:
            described = document["components"]["responses"]["Problem"]
        assert response.content_type in described["content"]
        Draft202012Validator(schema_of(document, described["content"])).validate(response.get_json(force=True))


def test_the_request_schema_says_what_the_server_does(document: dict[str, Any], call: Call) -> None:
    content = document["paths"]["/v1/messages"]["post"]["requestBody"]["content"]
    validator = Draft202012Validator(schema_of(document, content))
    for body, right in [
        (email(), True),
        (sms(), True),
        (email(campaign_id="a\nb"), False),
        (email(recipients=[]), False),
        (email(unknown=1), False),
        (email(**{"return": "all"}), False),
        (email(metadata={"a.b": "x"}), False),
    ]:
        assert validator.is_valid(body) is right
        assert (call("POST", "/v1/messages", body).status_code == 201) is right


class Page(HTMLParser):
    """Collects what a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            assert given["id"] not in self.ids
            self.ids.add(given["id"])
        if tag == "a":
            self.links.append(given["href"])
        if tag in ("script", "link", "img", "iframe") or "src" in given:
            self.loads.append((tag, str(given)))


def test_the_docs_page_is_complete_and_loads_nothing(client: FlaskClient, document: dict[str, Any]) -> None:
    response = client.get("/docs")
    assert response.status_code == 200
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    page = Page()
    page.feed(response.get_data(as_text=True))
    assert page.loads == []
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids
    assert [link for link in page.links if not link.startswith("#")] == ["/v1/openapi.json"]
    operations = {op["operationId"] for methods in document["paths"].values() for op in methods.values()}
    assert operations <= page.ids
    assert set(CODES) <= page.ids
    assert {f"schema-{name}" for name in document["components"]["schemas"]} <= page.ids
