"""`POST /v1/messages/lint`: what would happen to each link, and why; nothing is stored."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.models.api_key import Scope
from app.services import Services
from app.web.api.lint import LintAnswer
from tests.integration.api.api_bodies import Call, assert_problem

HTML = """<html><body>
<a href="https://www.alder.example/a?x=1&amp;y=2">A</a> <a href="/rel">B</a>
<a href="https://evil.example/">C</a> <a data-track="off" href="https://www.alder.example/">D</a>
<a href="javascript:alert(1)">E</a> <a href="{{unsubscribe_url}}">F</a> <a href="mailto:a@alder.example">G</a>
"""


def lint(call: Call, **body: Any) -> dict[str, Any]:
    response = call("POST", "/v1/messages/lint", body)
    assert response.status_code == 200, response.get_data(as_text=True)
    found: dict[str, Any] = response.get_json()
    LintAnswer.model_validate(found)
    return found


def test_each_link_says_what_happens_to_it_and_why(call: Call, services: Services) -> None:
    found = lint(call, content={"html": HTML, "text": "See https://www.alder.example/a?x=1&y=2."})
    shown = [(link["part"], link["line"], link["column"], link["action"], link["reason"]) for link in found["links"]]
    assert shown == [
        ("html", 2, 4, "tracked", "web"),
        ("html", 2, 60, "left", "relative"),
        ("html", 3, 4, "refused", "not_allowed"),
        ("html", 3, 59, "left", "opt_out"),
        ("html", 4, 4, "left", "unsafe_scheme"),
        ("html", 4, 40, "left", "unsubscribe"),
        ("html", 4, 76, "left", "other_scheme"),
        ("text", 1, 5, "tracked", "web"),
    ]
    first, last = found["links"][0], found["links"][-1]
    assert first["url"] == first["destination"] == last["destination"] == "https://www.alder.example/a?x=1&y=2"
    assert first["link_id"] == last["link_id"] == "lnk_1"
    assert [warning["code"] for link in found["links"] for warning in link["warnings"]] == [
        "relative_url",
        "unsafe_scheme",
    ]
    assert found["warnings"] == []
    assert found["left_out"] == 0
    names = ("blocks", "messages", "idempotency", "events", "deliveries")
    assert not any(services.database[name].count_documents({}) for name in names)


def test_unreadable_html_is_a_warning_about_the_part(call: Call) -> None:
    found = lint(call, content={"html": "<p>\n  <!-- never ends", "text": "https://alder.example/"})
    assert [link["part"] for link in found["links"]] == ["text"]
    (warning,) = found["warnings"]
    assert (warning["part"], warning["line"], warning["column"], warning["code"]) == ("html", 2, 3, "unparsable_html")


def test_links_beyond_the_bound_are_counted(call: Call) -> None:
    found = lint(call, content={"html": "<a href='/x'>" * 1200})
    assert (len(found["links"]), found["left_out"]) == (1000, 200)


def test_names_of_values_make_links_personalised(call: Call) -> None:
    content = {"html": '<a href="https://alder.example/{{ id }}">x</a>'}
    assert [link["reason"] for link in lint(call, content=content)["links"]] == ["placeholder"]
    assert [link["reason"] for link in lint(call, content=content, values=["id"])["links"]] == ["personal"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content": {}},
        {"content": {"html": "x"}, "channel": "sms"},
        {"content": {"html": "x"}, "values": ["a b"]},
        {"content": {"html": "x"}, "values": ["a"] * 101},
        {"content": {"html": "x"}, "values": ["a" * 65]},
        {"content": {"html": "x"}, "recipients": []},
    ],
)
def test_what_does_not_fit_the_schema_is_refused(call: Call, body: dict[str, Any]) -> None:
    assert_problem(call("POST", "/v1/messages/lint", body), 422, "invalid_request")


def test_too_many_links_are_refused_as_they_will_be(call: Call) -> None:
    content = {"html": "<a href='https://alder.example/'>x</a>" * 501}
    assert_problem(call("POST", "/v1/messages/lint", {"content": content}), 422, "too_many_links")


def test_a_key_that_may_read_messages_is_enough(client: FlaskClient, key_of: Callable[..., str]) -> None:
    for scope, status in ((Scope.MESSAGES_READ, 200), (Scope.EVENTS_READ, 403)):
        headers = {"Authorization": f"Bearer {key_of('alder', scope)}"}
        response = client.post("/v1/messages/lint", headers=headers, json={"content": {"text": "x"}})
        assert response.status_code == status


def test_a_whole_message_and_an_sms_are_looked_at_too(call: Call) -> None:
    raw = b'Content-Type: text/html\r\n\r\n<a href="https://www.alder.example/a">A</a>\r\n'
    found = lint(call, content={"mime": base64.b64encode(raw).decode()})
    assert [(link["part"], link["action"]) for link in found["links"]] == [("html", "tracked")]
    found = lint(call, channel="sms", content={"text": "x" * 130 + " https://www.alder.example/1"})
    assert (found["segments"]["before"]["segments"], found["segments"]["after"]["segments"]) == (1, 2)
    assert found["segments"]["warnings"] == ["link_adds_segment"]
