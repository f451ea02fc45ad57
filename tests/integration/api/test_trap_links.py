"""The trap link in `POST /v1/messages`: hidden in html only, told to nobody, and served like any link."""

from __future__ import annotations

import base64
import re
from email.message import EmailMessage

import pytest

from app.services import Services
from tests.integration.api.api_bodies import Call, email, sms
from tests.integration.api.visitor import Visitor, block_of, change_brand

TRAP = re.compile(r'<a href="([^"]+)" aria-hidden="true" tabindex="-1"[^<]*></a>')
FIRST = "https://www.alder.example/a?x=1&y=2"


@pytest.fixture(autouse=True)
def trapping(services: Services) -> None:
    change_brand(services, "bots: {trap_link: true}")


def test_html_gets_a_hidden_link_that_leads_where_the_first_does(
    call: Call, visitor: Visitor, services: Services
) -> None:
    people = [{"address": f"u{n}@mail.example"} for n in range(2)]
    answer = call("POST", "/v1/messages", email(recipients=people)).get_json()
    traps = []
    for one in answer["messages"]:
        (trap,) = TRAP.findall(one["html"])
        traps.append(trap)
        assert one["html"].index(trap) < one["html"].index(one["pixel_url"])
        assert trap not in one["text"]
        assert [(link["id"], link["url"]) for link in one["links"]] == [
            ("lnk_1", FIRST),
            ("lnk_2", "https://www.alder.example/b"),
        ]
        assert visitor.location(trap) == FIRST
    assert len(set(traps)) == 2
    message = answer["messages"][1]
    assert [link.trap for link in block_of(services, message["id"]).links] == [False, False, True]
    visitor.ingest()
    events = call("GET", f"/v1/messages/{message['id']}").get_json()["events"]
    (event,) = events
    assert (event["link_id"], event["url"]) == ("lnk_trap", FIRST)
    assert (event["verdict"], event["counted"], event["reasons"][0]) == ("machine", False, "honeypot")


def test_html_that_was_rewritten_before_keeps_the_trap_it_has(call: Call) -> None:
    once = call("POST", "/v1/messages", email()).get_json()["messages"][0]["html"]
    more = once.replace("<p>Hi</p>", '<p>Hi</p><a href="https://www.alder.example/new">new</a>')
    again = call("POST", "/v1/messages", email(content={"html": more})).get_json()["messages"][0]
    assert TRAP.findall(again["html"]) == TRAP.findall(once)
    assert [link["url"] for link in again["links"]] == ["https://www.alder.example/new"]


def test_each_html_part_of_a_message_has_the_same_one_and_no_other_part_has_it(call: Call) -> None:
    made = EmailMessage()
    made.set_content(f"See {FIRST}\n")
    made.add_alternative(f"<html amp4email><body><a href='{FIRST}'>amp</a></body></html>", subtype="x-amp-html")
    for name in ("a", "b"):
        made.add_alternative(f'<body><a href="https://www.alder.example/{name}">{name}</a></body>', subtype="html")
    mime = base64.b64encode(made.as_bytes()).decode()
    (message,) = call("POST", "/v1/messages", email(content={"mime": mime})).get_json()["messages"]
    raw = base64.b64decode(message["mime"]).decode().replace("=\n", "").replace("=3D", "=")
    traps = TRAP.findall(raw)
    assert len(traps) == raw.count('tabindex="-1"') == 2
    assert len(set(traps)) == 1
    assert traps[0] not in {link["tracked_url"] for link in message["links"]}


def test_nothing_else_gets_one(call: Call, services: Services) -> None:
    for body in (email(tracking={"clicks": False}), email(**{"return": "links"}), sms()):
        (message,) = call("POST", "/v1/messages", body).get_json()["messages"]
        assert not TRAP.search(message.get("html", ""))
        assert not any(link.trap for link in block_of(services, message["id"]).links)


def test_the_linter_says_that_one_will_be_added(call: Call) -> None:
    for content, expected in (({"html": f'<a href="{FIRST}">x</a>'}, True), ({"text": FIRST}, False)):
        found = call("POST", "/v1/messages/lint", {"content": content}).get_json()
        assert found["trap_link"] is expected
        assert len(found["links"]) == 1
