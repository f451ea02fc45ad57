"""`GET /v1/events/search` on MongoDB: what it takes, what it refuses, and whose events it shows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from app.lib import clock, ids
from app.models.event import AGAIN, Event, EventKind, Judgement, Verdict
from app.search.search import Search
from app.services import Services
from app.storage.event_search import EventSearch
from tests.integration.api.api_bodies import Call, assert_problem, email

PATH = "/v1/events/search"
DAY_MS = 86_400_000
MACHINE = Judgement(Verdict.MACHINE, False, ("bot_known",))


@pytest.fixture(autouse=True)
def search(services: Services) -> None:
    services.search = Search(EventSearch(services.database))


def registered(call: Call, brand: str = "alder", **change: Any) -> str:
    content = {"html": f'<a href="https://{brand}.example/sale">Sale</a>'}
    response = call("POST", "/v1/messages", email(**{"content": content, **change}), brand=brand)
    assert response.status_code == 201
    found: str = response.get_json()["messages"][0]["id"]
    return found


def store(services: Services, message_id: str, kind: EventKind = EventKind.OPENED, **change: Any) -> str:
    """An event recorded an hour ago unless said otherwise; answers its id."""
    number = services.codes.message_number(message_id)
    assert number is not None
    block = services.blocks.find(number)
    assert block is not None
    at_ms = change.pop("recorded_ms", clock.now_ms() - 3_600_000)
    event = Event(
        id=ids.new_id(at_ms),
        kind=kind,
        brand_id=block.brand_id,
        message=number,
        block=block.start,
        slot=4,
        at_ms=at_ms,
        recorded_ms=at_ms,
        judgement=Judgement(Verdict.HUMAN, True, ("ok",)),
        rank=AGAIN,
        rules_version="test",
        campaign_id=block.campaign_id,
        user_agent="Mozilla/5.0 Firefox/128.0",
    )._replace(**change)
    services.events.insert([event], ids.new_id().hex())
    return ids.event_id_text(event.id)


def found(call: Call, brand: str = "alder", **asked: str | int) -> list[str]:
    response = call("GET", PATH, query_string=asked, brand=brand)
    assert response.status_code == 200, response.get_data(as_text=True)
    return [event["id"] for event in response.get_json()["events"]]


def test_every_condition_reaches_the_store(call: Call, services: Services) -> None:
    spring, autumn = registered(call), registered(call, campaign_id="autumn", list_id="jobs", job_source="feed")
    opened = store(services, spring)
    clicked = store(services, autumn, EventKind.CLICKED, judgement=MACHINE, user_agent="Scanner/2")
    for asked, expected in (
        ({"q": "firefox"}, [opened]),
        ({"q": "scan* autumn"}, [clicked]),
        ({"q": "board"}, [opened]),
        ({"q": spring}, [opened]),
        ({"q": f"firefox {autumn}"}, []),
        ({"type": "message.clicked"}, [clicked]),
        ({"verdict": "machine"}, [clicked]),
        ({"counted": "true"}, [opened]),
        ({"counted": "false"}, [clicked]),
        ({"reason": "bot_known"}, [clicked]),
        ({"campaign_id": "autumn"}, [clicked]),
        ({"list_id": "jobs"}, [clicked]),
        ({"job_source": "board"}, [opened]),
        ({"message_id": autumn}, [clicked]),
        ({"message_id": "msg_nobody"}, []),
        ({"to": clock.rfc3339(clock.now() - timedelta(hours=2))}, []),
        ({"from": clock.rfc3339(clock.now() - timedelta(minutes=30))}, []),
    ):
        assert found(call, **asked) == expected, asked


def test_events_look_as_they_do_in_the_list(call: Call, services: Services) -> None:
    store(services, registered(call), EventKind.CLICKED)
    (listed,) = call("GET", "/v1/events").get_json()["events"]
    assert call("GET", PATH).get_json()["events"] == [listed]
    assert listed["url"] == "https://alder.example/sale"


def test_pages_follow_each_other(call: Call, services: Services) -> None:
    message = registered(call)
    events = [store(services, message, recorded_ms=clock.now_ms() - 3_600_000 + number) for number in range(5)]
    pages, cursor = [], {}
    while cursor is not None:
        body = call("GET", PATH, query_string={"limit": 2, **cursor}).get_json()
        pages.append([event["id"] for event in body["events"]])
        cursor = {"cursor": body["next_cursor"]} if body["next_cursor"] else None
    assert pages == [events[:2:-1], events[2:0:-1], events[:1]]


def test_facets_and_histogram_are_as_the_document_says(call: Call, services: Services, client: FlaskClient) -> None:
    message = registered(call)
    for number in range(3):
        store(services, message, judgement=MACHINE, recorded_ms=clock.now_ms() - DAY_MS * (number + 1))
    store(services, message, EventKind.CLICKED, recorded_ms=clock.now_ms() - DAY_MS)
    asked = {"facets": "type,campaign", "histogram": "day", "limit": 1}
    body = call("GET", PATH, query_string=asked).get_json()
    assert body["total"] == 4
    assert body["facets"]["type"]["values"] == [
        {"value": "message.opened", "count": 3},
        {"value": "message.clicked", "count": 1},
    ]
    assert body["facets"]["campaign"] == {"values": [{"value": "spring", "count": 4}], "others": 0}
    assert [bar["count"] for bar in body["histogram"]] == [1, 1, 2]
    assert all(bar["start"].endswith("T00:00:00.000Z") for bar in body["histogram"])
    document = client.get("/v1/openapi.json").get_json()
    answer = document["paths"][PATH]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    Draft202012Validator({**answer, "components": document["components"]}).validate(body)
    assert {"total", "facets", "histogram"}.isdisjoint(call("GET", PATH).get_json())


def test_clicks_are_found_by_what_their_link_is_called_and_leads_to(call: Call, services: Services) -> None:
    html = '<a href="https://alder.example/shoes?id=1">Red boots</a><a href="https://alder.example/hats">Hats</a>'
    message = registered(call, content={"html": html})
    boots = store(services, message, EventKind.CLICKED)
    hats = store(services, message, EventKind.CLICKED, slot=5)
    store(services, message, EventKind.OPENED, slot=1)
    store(services, registered(call, campaign_id="other", content={"html": html}), EventKind.CLICKED)
    for text, expected in (
        ("boots", [boots]),
        ("shoes RED", [boots]),
        ("alder", [hats, boots]),
        ("hat*", [hats]),
        ("hat", []),
        ("boots hats", []),
    ):
        assert found(call, link=text, campaign_id="spring") == expected, text
    assert found(call, link="boots", campaign_id="spring", q="scanner") == []
    assert found(call, "birch", link="boots", campaign_id="spring") == []
    assert_problem(call("GET", PATH, query_string={"link": "boots"}), 400, "invalid_parameter")


def test_another_brand_finds_nothing_of_it(call: Call, services: Services) -> None:
    theirs = registered(call, "birch", campaign_id="shared")
    store(services, theirs)
    store(services, registered(call, campaign_id="shared"))
    (own,) = found(call, campaign_id="shared")
    for asked in ({"message_id": theirs}, {"q": theirs}, {"q": "birch"}, {"q": 'brand:birch OR "birch"'}):
        assert found(call, **asked) == [], asked
    assert own not in found(call, "birch", q="shared")


def test_what_is_past_its_retention_is_not_found(call: Call, services: Services) -> None:
    store(services, registered(call), recorded_ms=clock.now_ms() - 396 * DAY_MS)
    asked = {"from": clock.rfc3339(clock.now() - timedelta(days=440))}
    assert found(call, **asked, to=clock.rfc3339(clock.now() - timedelta(days=394))) == []


@pytest.mark.parametrize(
    "asked",
    [
        {"q": "*"},
        {"q": "ab*"},
        {"q": " ".join(map(str, range(9)))},
        {"q": "a" * 201},
        {"q": "a\nb"},
        {"type": "message.viewed"},
        {"verdict": "bot"},
        {"counted": "1"},
        {"reason": "$where"},
        {"facets": "type,type"},
        {"facets": "client"},
        {"histogram": "minute"},
        {"limit": "0"},
        {"limit": "101"},
        {"from": "yesterday"},
        {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"from": "2025-01-01T00:00:00Z", "to": "2025-06-01T00:00:00Z"},
        {"from": "2025-01-01T00:00:00Z", "to": "2025-02-10T00:00:00Z", "histogram": "hour"},
        {"query": "x"},
    ],
)
def test_what_it_does_not_take_is_refused(call: Call, asked: dict[str, str]) -> None:
    assert_problem(call("GET", PATH, query_string=asked), 400, "invalid_parameter")


def test_a_cursor_of_nobodys_is_refused(call: Call) -> None:
    assert_problem(call("GET", PATH, query_string={"cursor": "abc"}), 400, "invalid_cursor")


def test_who_may_not_read_events_may_not_search_them(client: FlaskClient, key_of: Any) -> None:
    assert_problem(client.get(PATH), 401, "unauthenticated")
