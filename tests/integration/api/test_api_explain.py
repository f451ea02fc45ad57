"""`GET /v1/messages/{id}/explain`: the story of a message, as its events in the store tell it."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from app.ingest.personal import PURPOSE
from app.lib import clock, ids
from app.models import signals
from app.models.block import FIRST_LINK_SLOT, SEALED_LINK_SLOTS, Channel
from app.models.event import (
    AGAIN,
    FIRST,
    FIRST_APPLE,
    FIRST_MACHINE,
    Event,
    EventKind,
    Judgement,
    Verdict,
)
from app.models.message import Message, Recipient
from app.models.reasons import REASONS
from app.services import Services
from app.tracking.codes import TOKEN_NUMBERS
from app.web.api.explain_schemas import MessageExplained
from tests.integration.api.api_bodies import Call, assert_problem, email

SENT_MS = clock.now_ms() - 3_600_000
# Years from now too, or it would be a stale browser.
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/199.0.0.0 Safari/537.36"
PERSON = Judgement(Verdict.HUMAN, True, ("ok",))
LINKS = 12


def machine(*reasons: str) -> Judgement:
    return Judgement(Verdict.MACHINE, False, reasons)


def registered(call: Call, services: Services, brand: str) -> int:
    html = "".join(f'<a href="https://{brand}.example/{index}">x</a>' for index in range(LINKS))
    answer = call("POST", "/v1/messages", email(content={"html": html}), brand=brand).get_json()
    number = services.codes.message_number(answer["messages"][0]["id"])
    assert number is not None
    return number


class Story:
    """A message and what happens to it; registered here and sent at `SENT_MS`, unless its number is given."""

    def __init__(self, call: Call, services: Services, brand: str = "alder", number: int | None = None) -> None:
        self._call, self._brand, self._events = call, brand, services.events
        self.number = registered(call, services, brand) if number is None else number
        self.id = services.codes.message_id(self.number)
        if number is None:
            # Reported later, as brands do.
            self.happens(EventKind.SENT, 0, rank=FIRST, id=ids.new_id())

    def happens(
        self, kind: EventKind, seconds: float, judgement: Judgement = PERSON, *, rank: int = AGAIN, **change: Any
    ) -> Event:
        at_ms = SENT_MS + int(seconds * 1000)
        slot = {EventKind.CLICKED: FIRST_LINK_SLOT, EventKind.OPENED: 1}.get(kind, 2)
        event = Event(
            ids.new_id(at_ms), kind, self._brand, self.number, self.number, slot, at_ms, at_ms, judgement, rank, "2"
        )
        (stored,) = self._events.insert([event._replace(**change)], ids.new_id().hex())
        return stored

    def corrected(self, event: Event, before: Judgement, seconds: float) -> Event:
        return self.happens(
            EventKind.RECLASSIFIED,
            seconds,
            event.judgement,
            slot=event.slot,
            corrects=event.id,
            corrects_kind=event.kind,
            before=before,
        )

    def read(self, path: str = "/explain") -> dict[str, Any]:
        response = self._call("GET", f"/v1/messages/{self.id}{path}", brand=self._brand)
        assert response.status_code == 200
        found: dict[str, Any] = response.get_json()
        if path == "/explain":
            MessageExplained.model_validate(found)
        return found


@pytest.fixture
def story(call: Call, services: Services) -> Story:
    return Story(call, services)


def test_a_person_is_told_as_one(story: Story) -> None:
    at = signals.HEADERS_SEEN | signals.HTTPS | signals.FETCH_METADATA | signals.ACCEPT_LANGUAGE
    story.happens(EventKind.OPENED, 600, Judgement(Verdict.HUMAN, True, ("mail_client",)), rank=FIRST)
    story.happens(EventKind.CLICKED, 612.5, rank=FIRST, user_agent=CHROME, signals=at)
    told = story.read()
    assert [event["type"] for event in told["events"]] == ["message.sent", "message.opened", "message.clicked"]
    click = told["events"][-1]
    assert click["seconds_after_sent"] == 612.5
    assert click["through"] == "Chrome 199 or a browser like it"
    assert [one["code"] for one in click["signals"]] == ["headers_seen", "https", "fetch_metadata", "accept_language"]
    assert (click["first"], click["points"], click["corrections"], click["rules_version"]) == (True, 0, [], "2")
    assert (click["link_id"], click["url"], click["user_agent"]) == ("lnk_1", "https://alder.example/0", CHROME)
    assert click["story"].startswith("The link lnk_1 was followed 10 minutes after the message was sent, by Chrome 199")
    assert told["sent_at"] == told["events"][0]["timestamp"]
    assert told["conclusion"].startswith("Counted as opened by a person on ")
    assert not told["more"]


def test_a_scanners_burst_is_told_with_what_was_said_before_and_why_it_changed(story: Story) -> None:
    burst = machine("link_burst", "datacenter_ip")
    clicks = [
        story.happens(
            EventKind.CLICKED,
            5 + place / 10,
            burst,
            rank=FIRST_MACHINE if place == 0 else AGAIN,
            slot=FIRST_LINK_SLOT + place,
            user_agent=CHROME,
            signals=signals.PUBLIC_ADDRESS | signals.CLOUD,
        )
        for place in range(LINKS)
    ]
    story.happens(EventKind.VIEWED, 7, machine("tainted_session"), rank=FIRST_MACHINE)
    correction = story.corrected(clicks[0], Judgement(Verdict.HUMAN, True, ("datacenter_ip",)), 8)
    told = story.read()
    assert len(told["events"]) == 1 + LINKS + 1
    first = told["events"][1]
    assert first["corrections"] == [
        {
            "event_id": ids.event_id_text(correction.id),
            "timestamp": clock.rfc3339(clock.from_ms(SENT_MS + 8000)),
            "before": {"verdict": "human", "counted": True, "reasons": ["datacenter_ip"]},
            "after": {"verdict": "machine", "counted": False, "reasons": ["link_burst", "datacenter_ip"]},
            "why": f"Taken for a machine and not counted, because {REASONS['link_burst']}.",
        }
    ]
    assert first["story"].endswith("Until it was corrected 3.0 seconds later, it was taken for a person and counted.")
    assert (first["weak_signs"], first["points"]) == (["datacenter_ip"], 1)
    assert first["through"].endswith(", from a hosting cloud")
    assert told["events"][-1]["type"] == "message.viewed"
    assert told["conclusion"] == (
        "Nothing is counted as opened or clicked. Not counted: 12 clicks by machines. 1 verdict was corrected later."
    )


def test_apple_ahead_of_the_person_and_the_person_are_two_things(story: Story) -> None:
    network = signals.PUBLIC_ADDRESS | signals.RELAY
    story.happens(
        EventKind.OPENED, 40, machine("apple_mpp"), rank=FIRST_APPLE, user_agent="Mozilla/5.0", signals=network
    )
    story.happens(EventKind.OPENED, 9000, Judgement(Verdict.HUMAN, True, ("mail_client",)), rank=FIRST)
    ahead, read = story.read()["events"][1:]
    assert ahead["through"] == "Apple Mail Privacy Protection, from Apple's network"
    assert (ahead["first"], ahead["counted"], read["first"], read["counted"]) == (False, False, True, True)
    assert story.read()["conclusion"].endswith("Not counted: 1 open by Apple Mail Privacy Protection.")


def test_a_proxy_is_a_person_behind_a_mail_provider(story: Story) -> None:
    proxy = Judgement(Verdict.PROXY, True, ("proxy_gmail",))
    story.happens(EventKind.OPENED, 60, proxy, rank=FIRST, signals=signals.PUBLIC_ADDRESS | signals.GOOGLE)
    told = story.read()
    assert told["events"][1]["through"] == "Gmail's image proxy, from Google's network"
    assert told["conclusion"].startswith("Counted as opened by a person behind a mail provider's proxy on ")


def test_the_hidden_link_and_an_open_that_only_a_click_tells_of(story: Story) -> None:
    story.happens(EventKind.CLICKED, 3, machine("honeypot"), rank=FIRST_MACHINE, signals=signals.TRAP)
    click = story.happens(EventKind.CLICKED, 100, rank=FIRST)
    implied = Judgement(Verdict.HUMAN, True, ("implied",))
    story.happens(
        EventKind.OPENED, 100, implied, rank=FIRST, implied=True, id=click.id[:-1] + bytes([click.id[-1] ^ 1])
    )
    told = story.read()
    assert told["events"][1]["story"].startswith("The hidden link was followed 3.0 seconds after the message was sent")
    assert [event["implied"] for event in told["events"][2:]] == [False, True]
    assert "position" not in told["events"][3]
    assert told["conclusion"].startswith("Counted as opened (a click shows it) on ")
    timeline = story.read("")
    assert timeline["state"] == "clicked"
    assert [event["type"] for event in timeline["events"]] == ["message.sent", "message.clicked", "message.clicked"]


def test_the_timeline_has_corrections_and_its_state_does_not_follow_them(story: Story, call: Call) -> None:
    click = story.happens(EventKind.CLICKED, 5, machine("link_burst"), rank=FIRST_MACHINE)
    story.happens(EventKind.VIEWED, 6, PERSON._replace(counted=False))
    story.corrected(click, PERSON, 8)
    timeline = story.read("")
    assert timeline["state"] == "sent"
    assert [event["type"] for event in timeline["events"]] == [
        "message.sent",
        "message.clicked",
        "message.reclassified",
    ]
    correction = timeline["events"][-1]
    assert correction["event_id"] == ids.event_id_text(click.id)
    assert correction["event_timestamp"] == timeline["events"][1]["timestamp"]
    assert (correction["event_type"], correction["link_id"]) == ("message.clicked", "lnk_1")
    assert (correction["before"]["verdict"], correction["after"]["verdict"]) == ("human", "machine")
    assert call("GET", "/v1/events?type=message.reclassified").get_json()["events"] == [correction]


def test_a_correction_outlives_the_event_it_corrects(story: Story, database: Database[dict[str, Any]]) -> None:
    click = story.happens(EventKind.CLICKED, 5, machine("link_burst"), rank=FIRST_MACHINE)
    story.corrected(click, PERSON, 8)
    database["events"].delete_one({"_id": click.id})
    (_, orphan) = story.read()["events"]
    assert orphan["type"] == "message.reclassified"
    assert orphan["corrections"][0]["before"]["verdict"] == "human"


def test_a_message_of_a_sealed_token_has_a_story_too(call: Call, services: Services) -> None:
    number, address = TOKEN_NUMBERS + 77, "ada@mail.example"
    known = services.keyring.address_hash("alder", Channel.EMAIL, address)
    services.messages.insert_many(
        [Message(number, "alder", Channel.EMAIL, Recipient(address), known, clock.from_ms(SENT_MS))]
    )
    under = services.messages.key_ids_of({number})[number]
    (url,) = services.vault.seal_under(PURPOSE, [("alder", under, b'{"url":"https://alder.example/for"}')])
    story = Story(call, services, number=number)
    story.happens(EventKind.CLICKED, 5, rank=FIRST, slot=SEALED_LINK_SLOTS + 7, personal=url)
    (click,) = story.read()["events"]
    assert (click["link_id"], click["url"]) == ("lnk_s0000007", "https://alder.example/for")
    assert "seconds_after_sent" not in click


def test_more_events_than_are_read_are_said_to_be_there(story: Story, services: Services) -> None:
    number = story.number
    again = [
        Event(ids.new_id(SENT_MS), EventKind.OPENED, "alder", number, number, 1, SENT_MS, SENT_MS, PERSON, AGAIN, "2")
        for _ in range(1001)
    ]
    services.events.insert(again, "many")
    told = story.read()
    assert (len(told["events"]), told["more"]) == (1000, True)


def test_a_stranger_learns_nothing_of_a_message(call: Call, services: Services) -> None:
    theirs = Story(call, services, "birch").id
    answers = [
        assert_problem(call("GET", f"/v1/messages/{message_id}/explain"), 404, "not_found")
        for message_id in (theirs, services.codes.message_id(123_456_789), "nonsense")
    ]
    assert all(answer == answers[0] for answer in answers)
