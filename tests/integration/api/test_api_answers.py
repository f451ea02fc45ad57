"""Answers and requests of the calls about links, replies and people are what the OpenAPI document says."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from app.services import Services
from tests.integration.api.api_bodies import Call, email, sms
from tests.integration.api.test_api_documents import document, schema_of
from tests.integration.api.visitor import Visitor, change_brand

__all__ = ["document"]

URL = "https://www.alder.example/{{ o }}"
ANN = {"address": "+4915112345678", "values": {"o": "1"}, "metadata": {"a": "b"}}
MAIL = {"address": "ann@mail.example"}
MIME = base64.b64encode(b"Content-Type: text/html\r\n\r\n<a href='https://alder.example/'>x</a>\r\n").decode()
BROKEN = base64.b64encode(b"Content-Type: multipart/mixed\r\n\r\nx\r\n").decode()


def check(document: dict[str, Any], path: str, response: TestResponse, status: int) -> None:
    assert response.status_code == status, response.get_data(as_text=True)
    described = document["paths"][path][response.request.method.lower()]["responses"][str(status)]
    if "$ref" in described:
        described = document["components"]["responses"]["Problem"]
    assert response.content_type in described["content"]
    Draft202012Validator(schema_of(document, described["content"])).validate(response.get_json(force=True))


def test_answers_about_messages(document: dict[str, Any], call: Call) -> None:
    html = {"html": f'<a href="{URL}">x</a> <a href="/rel">y</a>'}
    person = {**MAIL, "values": {"o": "1"}}
    for body, status in [
        (email(content=html, recipients=[person]), 201),
        (email(content=html), 201),
        (email(content=html, values={"o": ".."}), 422),
        (email(content={"mime": MIME}), 201),
        (email(content={"mime": BROKEN}), 201),
        (email(content={"mime": MIME}, **{"return": "links"}), 201),
        (email(content={"text": "https://evil.example/"}), 422),
        (sms(content={"text": "x" * 200 + "“ https://alder.example/"}), 201),
    ]:
        check(document, "/v1/messages", call("POST", "/v1/messages", body), status)


def test_answers_about_links_and_replies(document: dict[str, Any], call: Call) -> None:
    plain = {"destination": "https://www.alder.example/"}
    for body, status in [
        (plain, 201),
        ({**plain, "text": "{{ link }}", "recipient": ANN}, 201),
        ({"destination": URL, "recipient": ANN, "utm": {"source": "x"}}, 201),
        ({"destination": "https://alder.example/a\u200bb", "channel": "email", "recipient": MAIL}, 201),
        ({"destination": "https://evil.example/"}, 422),
        ({}, 422),
    ]:
        check(document, "/v1/links", call("POST", "/v1/links", body), status)
    nobodys = call("POST", "/v1/links", plain).get_json()["id"]
    check(document, "/v1/messages/{message_id}", call("GET", f"/v1/messages/{nobodys}"), 200)
    reply = {"address": ANN["address"], "text": "STOP"}
    check(document, "/v1/replies", call("POST", "/v1/replies", reply), 200)
    check(document, "/v1/replies", call("POST", "/v1/replies", {**reply, "text": "hm"}), 200)
    check(document, "/v1/replies", call("POST", "/v1/replies", {**reply, "address": "x"}), 422)


def test_answers_about_people(document: dict[str, Any], call: Call, visitor: Visitor, services: Services) -> None:
    change_brand(services, "client_address: full")
    link = call("POST", "/v1/links", {"destination": URL, "recipient": ANN}).get_json()
    token = {"purpose": "click", "reference": "r", "address": ANN["address"], "channel": "sms"}
    token["destination"] = "https://alder.example/sealed"
    sealed = call("POST", "/v1/tokens", {"tokens": [token]}).get_json()["tokens"][0]
    for url in (link["url"], sealed["url"]):
        assert visitor.get(url).status_code == 302
    visitor.get(link["unsubscribe_url"], "POST")
    visitor.ingest()
    exported = call("POST", "/v1/recipients/export", {"address": ANN["address"]})
    check(document, "/v1/recipients/export", exported, 200)
    held = exported.get_json()
    assert len(held["messages"]) == 2
    events = [event for message in held["messages"] for event in message["events"]]
    assert any(event.get("personal", {}).get("url") == token["destination"] for event in events)
    # Each event is one of `GET /v1/events`, and what was sealed besides.
    schema = {"$ref": "#/components/schemas/EventAnswer", "components": document["components"]}
    for event in events:
        Draft202012Validator(schema).validate({name: event[name] for name in event if name != "personal"})
    check(document, "/v1/events", call("GET", "/v1/events"), 200)
    for message in held["messages"]:
        check(document, "/v1/messages/{message_id}", call("GET", f"/v1/messages/{message['id']}"), 200)
    page = call("POST", "/v1/recipients/export", {"address": ANN["address"], "limit": 1})
    check(document, "/v1/recipients/export", page, 200)
    bad = call("POST", "/v1/recipients/export", {"address": ANN["address"], "cursor": "x"})
    check(document, "/v1/recipients/export", bad, 400)
    check(document, "/v1/recipients/erase", call("POST", "/v1/recipients/erase", {"message_id": link["id"]}), 200)
    check(document, "/v1/recipients/erase", call("POST", "/v1/recipients/erase", {"message_id": link["id"]}), 404)
    check(document, "/v1/recipients/erase", call("POST", "/v1/recipients/erase", {}), 422)
    for message in held["messages"]:
        check(document, "/v1/messages/{message_id}", call("GET", f"/v1/messages/{message['id']}"), 200)
    check(document, "/v1/events", call("GET", "/v1/events"), 200)
    check(document, "/v1/recipients/export", call("POST", "/v1/recipients/export", {"address": ANN["address"]}), 200)


MESSAGES, LINKS = "/v1/messages", "/v1/links"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (MESSAGES, email(values={"a_1": "x"}), 201),
        (MESSAGES, email(values={"1a": "x"}), 422),
        (MESSAGES, email(values={"a": 1}), 422),
        (MESSAGES, email(values={"a": "x\ny"}), 422),
        (MESSAGES, email(tracking={"opens": False}), 201),
        (MESSAGES, email(tracking={"opens": 0}), 422),
        (MESSAGES, email(utm="none"), 201),
        (MESSAGES, email(utm=None), 201),
        (MESSAGES, email(utm="some"), 422),
        (MESSAGES, email(utm={"source": "x", "existing": "replace"}), 201),
        (MESSAGES, email(utm={"sauce": "x"}), 422),
        (MESSAGES, email(content={"mime": MIME}), 201),
        (MESSAGES, email(content={"mime": "x"}), 422),
        (LINKS, {"destination": "https://alder.example/"}, 201),
        (LINKS, {"destination": ""}, 422),
        (LINKS, {"destination": "https://alder.example/\r\n"}, 422),
        (LINKS, {"destination": "https://alder.example/", "utm": {"source": 1}}, 422),
        (LINKS, {"destination": "https://alder.example/", "recipient": {}}, 422),
        (LINKS, {"destination": "https://alder.example/", "channel": "fax"}, 422),
        ("/v1/replies", {"address": "+4915112345678", "text": "x"}, 200),
        ("/v1/replies", {"address": "+4915112345678", "text": ""}, 422),
        ("/v1/recipients/erase", {"address": "ann@mail.example", "suppress": False}, 200),
        ("/v1/recipients/erase", {"address": "ann@mail.example", "suppress": "no"}, 422),
        ("/v1/recipients/export", {"address": "ann@mail.example", "limit": 200}, 200),
        ("/v1/recipients/export", {"address": "ann@mail.example", "limit": 201}, 422),
        ("/v1/recipients/export", {"address": "ann@mail.example", "message_id": "msg_x"}, 422),
        ("/v1/recipients/export", {}, 422),
    ],
)
def test_request_schemas_say_what_the_server_does(
    client: FlaskClient, call: Call, path: str, body: dict[str, Any], status: int
) -> None:
    document = client.get("/v1/openapi.json").get_json()
    content = document["paths"][path]["post"]["requestBody"]["content"]
    assert Draft202012Validator(schema_of(document, content)).is_valid(body) is (status < 400)
    assert call("POST", path, body).status_code == status
