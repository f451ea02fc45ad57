"""Reporting `sent`, reading a message, and paging through events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.lib import clock, ids
from app.models.block import FIRST_LINK_SLOT
from app.models.event import AGAIN, FIRST, Event, EventKind, Judgement, Verdict
from app.services import Services
from app.web.api.events import SETTLE_MS
from tests.integration.api.api_bodies import Call, assert_problem, email

LONG_AGO = 3_600_000


def registered(call: Call, brand: str = "alder") -> str:
    content = {"html": f'<a href="https://{brand}.example/sale">Sale</a>'}
    response = call("POST", "/v1/messages", email(content=content), brand=brand)
    assert response.status_code == 201
    found: str = response.get_json()["messages"][0]["id"]
    return found


def store(services: Services, message_id: str, kind: EventKind, **change: Any) -> Event:
    """Put an event of a message into the store, recorded an hour ago unless said otherwise."""
    number = services.codes.message_number(message_id)
    assert number is not None
    block = services.blocks.find(number)
    assert block is not None
    at_ms = clock.now_ms() - LONG_AGO
    event = Event(
        id=ids.new_id(change.get("at_ms", at_ms)),
        kind=kind,
        brand_id=block.brand_id,
        message=number,
        block=block.start,
        slot=FIRST_LINK_SLOT if kind is EventKind.CLICKED else 1,
        at_ms=at_ms,
        recorded_ms=at_ms,
        judgement=Judgement(Verdict.HUMAN, True, ("ok",)),
        rank=FIRST,
        rules_version="test",
        campaign_id=block.campaign_id,
        user_agent="Mozilla/5.0",
    )._replace(**change)
    (stored,) = services.events.insert([event], "batch")
    return stored


def test_sent_is_stored_once_and_told_twice_the_same(call: Call, services: Services) -> None:
    path = f"/v1/messages/{registered(call)}/events"
    first = call("POST", path, {"type": "sent", "at": "2026-01-01T01:00:00+01:00"})
    assert first.status_code == 200
    event = first.get_json()
    assert (event["type"], event["timestamp"]) == ("message.sent", "2026-01-01T00:00:00.000Z")
    assert event["id"].startswith("evt_")
    assert event["campaign_id"] == "spring"
    assert call("POST", path, {"type": "sent"}).get_json() == event
    assert services.database["events"].count_documents({}) == 1


def test_a_repeat_with_a_key_is_marked(call: Call) -> None:
    path = f"/v1/messages/{registered(call)}/events"
    first = call("POST", path, {"type": "sent"}, idempotency="k")
    again = call("POST", path, {"type": "sent"}, idempotency="k")
    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"
    other = call("POST", path, {"type": "sent", "at": "2026-01-01T00:00:00Z"}, idempotency="k")
    assert_problem(other, 422, "idempotency_key_reused")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": "opened"},
        {"type": "sent", "at": "yesterday"},
        {"type": "sent", "at": 1},
        {"type": "sent", "at": clock.rfc3339(clock.now() + timedelta(hours=1))},
        {"type": "sent", "extra": 1},
    ],
)
def test_a_bad_report_is_refused(call: Call, services: Services, body: dict[str, Any]) -> None:
    response = call("POST", f"/v1/messages/{registered(call)}/events", body)
    assert_problem(response, 422, "invalid_request")
    assert services.database["events"].count_documents({}) == 0


def test_another_brands_message_is_as_unknown_as_one_that_never_was(call: Call, services: Services) -> None:
    theirs = registered(call, "birch")
    store(services, theirs, EventKind.OPENED)
    unknown = services.codes.message_id(123_456_789)
    answers = []
    for message_id in (theirs, unknown, "msg_", "nonsense", "msg_" + "x" * 500):
        answers.append(assert_problem(call("GET", f"/v1/messages/{message_id}"), 404, "not_found"))
        report = call("POST", f"/v1/messages/{message_id}/events", {"type": "sent"})
        assert_problem(report, 404, "not_found")
    assert all(answer == answers[0] for answer in answers)
    assert services.database["events"].count_documents({}) == 1


def test_a_slot_inside_a_message_is_not_a_message(call: Call, services: Services) -> None:
    number = services.codes.message_number(registered(call))
    assert number is not None
    assert_problem(call("GET", f"/v1/messages/{services.codes.message_id(number + 1)}"), 404, "not_found")


def test_a_message_shows_its_state_timeline_and_recipient(call: Call, services: Services) -> None:
    message_id = registered(call)
    empty = call("GET", f"/v1/messages/{message_id}").get_json()
    assert (empty["state"], empty["events"]) == ("registered", [])
    machine = Judgement(Verdict.MACHINE, False, ("ua_bare",))
    store(services, message_id, EventKind.CLICKED, judgement=machine, rank=AGAIN)
    assert call("GET", f"/v1/messages/{message_id}").get_json()["state"] == "registered"
    call("POST", f"/v1/messages/{message_id}/events", {"type": "sent", "at": "2026-01-01T00:00:00Z"})
    store(services, message_id, EventKind.OPENED)
    store(services, message_id, EventKind.CLICKED)
    shown = call("GET", f"/v1/messages/{message_id}").get_json()
    assert shown["state"] == "clicked"
    assert shown["recipient"]["address"] == "Ada@mail.example"
    assert (shown["recipient"]["id"], shown["recipient"]["name"]) == ("c-1", "Ada")
    assert shown["recipient"]["address_hash"].startswith("sha256:")
    assert shown["metadata"] == {"shop": "north", "order": "A-1"}
    assert (shown["campaign_id"], shown["list_id"], shown["job_source"]) == ("spring", "news", "board")
    by_verdict = {(event["type"], event["verdict"]): event for event in shown["events"]}
    clicked = by_verdict["message.clicked", "human"]
    assert (clicked["link_id"], clicked["url"]) == ("lnk_1", "https://alder.example/sale")
    assert by_verdict["message.clicked", "machine"]["reasons"] == ["ua_bare"]
    assert by_verdict["message.opened", "human"]["position"] == "footer"


def test_a_message_says_when_a_person_first_opened_and_clicked(call: Call, services: Services) -> None:
    message_id = registered(call)
    path = f"/v1/messages/{message_id}"
    start = clock.now_ms() - LONG_AGO
    proxy, machine = Judgement(Verdict.PROXY, True, ("proxy_gmail",)), Judgement(Verdict.MACHINE, False, ("ua_bare",))
    gone = Judgement(Verdict.HUMAN, False, ("ok", "values_gone"))
    store(services, message_id, EventKind.OPENED, judgement=proxy, at_ms=start)
    store(services, message_id, EventKind.CLICKED, judgement=machine, rank=AGAIN, at_ms=start)
    store(services, message_id, EventKind.CLICKED, judgement=gone, rank=AGAIN, at_ms=start)
    assert not [name for name in call("GET", path).get_json() if name.startswith("first_human")]
    for later in (2000, 1000):
        store(services, message_id, EventKind.CLICKED, rank=AGAIN, at_ms=start + later)
    store(services, message_id, EventKind.OPENED, rank=AGAIN, at_ms=start + 1000, implied=True)
    first = clock.rfc3339(clock.from_ms(start + 1000))
    shown = call("GET", path).get_json()
    assert (shown["first_human_opened_at"], shown["first_human_clicked_at"]) == (first, first)


def test_pages_follow_each_other_without_gap_or_repeat(call: Call, services: Services) -> None:
    message_id = registered(call)
    start = clock.now_ms() - LONG_AGO
    # Several share a millisecond, as a batch's events do.
    stored = [
        store(
            services, message_id, EventKind.OPENED, rank=FIRST if index == 0 else AGAIN, recorded_ms=start + index // 10
        )
        for index in range(45)
    ]
    seen: list[str] = []
    path = "/v1/events?limit=7"
    for _ in range(7):
        page = call("GET", path).get_json()
        seen += [event["id"] for event in page["events"]]
        assert page["has_more"] == (len(seen) < 45)
        path = f"/v1/events?limit=7&cursor={page['next_cursor']}"
    expected = sorted(stored, key=lambda event: (event.recorded_ms, event.id))
    assert seen == [ids.event_id_text(event.id) for event in expected]
    rest = call("GET", path).get_json()
    assert rest["events"] == []
    assert rest["next_cursor"] == page["next_cursor"]


def test_an_event_that_is_recorded_late_is_not_skipped(call: Call, services: Services) -> None:
    message_id = registered(call)
    now = clock.now_ms()
    store(services, message_id, EventKind.OPENED, at_ms=now - 60_000, recorded_ms=now - 60_000)
    page = call("GET", "/v1/events").get_json()
    late = store(services, message_id, EventKind.CLICKED, at_ms=now - LONG_AGO, recorded_ms=now - 30_000)
    after = call("GET", f"/v1/events?cursor={page['next_cursor']}").get_json()
    assert [event["id"] for event in after["events"]] == [ids.event_id_text(late.id)]


def test_what_was_recorded_just_now_waits_until_its_batch_is_settled(call: Call, services: Services) -> None:
    message_id = registered(call)
    store(services, message_id, EventKind.OPENED, recorded_ms=clock.now_ms())
    assert call("GET", "/v1/events").get_json() == {"events": [], "next_cursor": None, "has_more": False}
    store(services, message_id, EventKind.CLICKED, recorded_ms=clock.now_ms() - SETTLE_MS - 1)
    assert len(call("GET", "/v1/events").get_json()["events"]) == 1


def test_events_can_be_narrowed_and_stay_inside_the_brand(call: Call, services: Services) -> None:
    mine, theirs = registered(call), registered(call, "birch")
    for message_id in (mine, theirs):
        store(services, message_id, EventKind.OPENED)
        store(services, message_id, EventKind.CLICKED)
    listed = call("GET", "/v1/events").get_json()["events"]
    assert {event["message_id"] for event in listed} == {mine}
    clicked = call("GET", "/v1/events?type=message.clicked&campaign_id=spring").get_json()["events"]
    assert [event["type"] for event in clicked] == ["message.clicked"]
    assert call("GET", "/v1/events?campaign_id=other").get_json()["events"] == []


@pytest.mark.parametrize("cursor", ["x", "A" * 29, "A" * 31, "A" * 29 + "=", "A" * 29 + "B", "é" * 30, "%2B" * 30])
def test_a_cursor_that_was_not_given_out_is_refused(call: Call, cursor: str) -> None:
    assert_problem(call("GET", f"/v1/events?cursor={cursor}"), 400, "invalid_cursor")
