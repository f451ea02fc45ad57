"""The body of each event type, in both modes, and who is told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lib import clock, ids
from app.models.block import Block, Channel, Link
from app.models.delivery import Endpoint, PayloadMode, Secret
from app.models.event import AGAIN, FIRST, PUBLIC_KINDS, Event, EventKind, Judgement, Verdict
from app.models.message import Message, Recipient
from app.webhooks.payload import MAX_URL, MAX_USER_AGENT, build_body
from app.webhooks.routing import plan_deliveries

AT = 1_767_225_690_500
URL = "https://shop.example/sale?x=1&ü=%20"
BLOCK = Block(
    start=1000,
    count=10,
    stride=6,
    brand_id="harbour",
    channel=Channel.EMAIL,
    links=(Link("https://shop.example/"), Link(URL)),
    created_at=clock.from_ms(AT),
)
MESSAGE = Message(
    number=1006,
    brand_id="harbour",
    channel=Channel.EMAIL,
    recipient=Recipient("zoë@mail.example", "contact-118", "Zoë Marsh"),
    address_hash="6f" * 32,
    created_at=clock.from_ms(AT),
    campaign_id="cmp_9",
    list_id="news",
    job_source="board-a",
    metadata={"order": "Ä-1"},
)
COMMON = {
    "brand_id": "harbour",
    "message_id": "msg_7",
    "channel": "email",
    "campaign_id": "cmp_9",
    "list_id": "news",
    "recipient": {"id": "contact-118", "address_hash": "sha256:" + "6f" * 32},
    "recorded_at": "2026-01-01T00:01:30.640Z",
    "job_source": "board-a",
    "metadata": {"order": "Ä-1"},
}
HIT = {"first": True, "verdict": "human", "counted": True, "reasons": ["ok"], "rules_version": "7"}


def event(kind: EventKind, slot: int = 0, **changes: Any) -> Event:
    made = Event(
        id=ids.make_id(AT, bytes(10)),
        kind=kind,
        brand_id="harbour",
        message=1006,
        block=1000,
        slot=slot,
        at_ms=AT,
        recorded_ms=AT + 140,
        judgement=Judgement(Verdict.HUMAN, True, ("ok",)),
        rank=FIRST,
        rules_version="7",
        user_agent="Mozilla/5.0",
        client="192.0.2.0/24",
    )
    return made._replace(**changes)


MACHINE = Judgement(Verdict.MACHINE, False, ("link_burst", "datacenter_ip"))


def correction(kind: EventKind, slot: int) -> Event:
    """Two seconds after a hit of a person, it turned out to be a machine's."""
    return event(
        EventKind.RECLASSIFIED,
        slot,
        judgement=MACHINE,
        rank=AGAIN,
        corrects=ids.make_id(AT - 2000, b"\x01" * 10),
        corrects_kind=kind,
        before=Judgement(Verdict.HUMAN, True, ("ok",)),
        user_agent="",
        client="",
    )


CORRECTED = {
    "event_id": "evt_" + ids.to_text(ids.make_id(AT - 2000, b"\x01" * 10)),
    "event_timestamp": "2026-01-01T00:01:28.500Z",
    "before": {"verdict": "human", "counted": True, "reasons": ["ok"]},
    "after": {"verdict": "machine", "counted": False, "reasons": ["link_burst", "datacenter_ip"]},
    "rules_version": "7",
}


def body(made: Event, mode: PayloadMode = PayloadMode.THIN, message: Message | None = MESSAGE, **options: Any) -> Any:
    return json.loads(build_body(made, message, BLOCK, "msg_7", mode, **options))


@pytest.mark.parametrize(
    ("made", "own"),
    [
        (event(EventKind.SENT), {"accepted_at": "2026-01-01T00:01:30.500Z"}),
        (event(EventKind.OPENED, 0), {"position": "header", **HIT}),
        (event(EventKind.OPENED, 1), {"position": "footer", **HIT}),
        (event(EventKind.CLICKED, 5), {"url": URL, "link_id": "lnk_2", "position": 2, **HIT}),
        (event(EventKind.UNSUBSCRIBED, 2, method="one_click"), {"method": "one_click", "scope": "list"}),
        (
            correction(EventKind.CLICKED, 5),
            {"event_type": "message.clicked", "url": URL, "link_id": "lnk_2", "position": 2, **CORRECTED},
        ),
        (correction(EventKind.OPENED, 1), {"event_type": "message.opened", "position": "footer", **CORRECTED}),
    ],
)
def test_a_thin_body_is_exactly_this(made: Event, own: dict[str, Any]) -> None:
    assert body(made) == {
        "id": "evt_" + ids.to_text(made.id),
        "type": f"message.{made.kind.value}",
        "timestamp": "2026-01-01T00:01:30.500Z",
        "schema": "2026-01-01",
        "data": COMMON | own,
    }


def test_the_trap_has_a_name_of_its_own_and_no_place_in_the_content() -> None:
    block = replace(BLOCK, stride=7, links=(*BLOCK.links, Link(URL, "trap", trap=True)))
    data = json.loads(build_body(event(EventKind.CLICKED, 6), MESSAGE, block, "msg_7", PayloadMode.THIN))["data"]
    assert data == COMMON | {"url": URL, "link_id": "lnk_trap", **HIT}


@pytest.mark.parametrize("kind", PUBLIC_KINDS)
def test_only_full_bodies_name_the_person_and_the_client(kind: EventKind) -> None:
    made = event(kind, 4 if kind is EventKind.CLICKED else 1)
    if kind is EventKind.RECLASSIFIED:
        made = correction(EventKind.OPENED, 1)
    thin, full = body(made), body(made, PayloadMode.FULL)
    assert full["data"]["recipient"]["address"] == "zoë@mail.example"
    for secret in ("mail.example", "Mozilla", "192.0.2", "Marsh"):
        assert secret not in json.dumps(thin)
    assert "Marsh" not in json.dumps(full), "a name is never told"
    if kind in (EventKind.OPENED, EventKind.CLICKED):
        assert (full["data"]["user_agent"], full["data"]["ip_prefix"]) == ("Mozilla/5.0", "192.0.2.0/24")


def test_without_a_message_the_body_has_ids_only() -> None:
    data = body(event(EventKind.OPENED), PayloadMode.FULL, None)["data"]
    assert data["recipient"] == {"id": "msg_7"}
    assert not {"metadata", "job_source", "list_id", "campaign_id"} & set(data)


def test_without_a_contact_id_the_recipient_is_our_message_id() -> None:
    nameless = replace(MESSAGE, recipient=Recipient("a@mail.example"))
    assert body(event(EventKind.SENT), message=nameless)["data"]["recipient"]["id"] == "msg_7"


def test_machine_hits_are_told_as_such() -> None:
    made = event(EventKind.CLICKED, 4, judgement=Judgement(Verdict.MACHINE, False, ("head",)), rank=AGAIN)
    data = body(made)["data"]
    assert (data["verdict"], data["counted"], data["reasons"], data["first"]) == ("machine", False, ["head"], False)


def test_the_scope_of_an_unsubscribe_is_the_brands_choice() -> None:
    made = event(EventKind.UNSUBSCRIBED, 2)
    assert body(made, unsubscribe_scope="brand")["data"]["scope"] == "brand"
    assert body(made, message=None)["data"]["scope"] == "brand"


def test_long_values_are_cut() -> None:
    long = replace(BLOCK, links=(Link("https://shop.example/" + "a" * 3000),))
    made = event(EventKind.CLICKED, 4, user_agent="M" * 900)
    data = json.loads(build_body(made, MESSAGE, long, "msg_7", PayloadMode.FULL))["data"]
    assert (len(data["url"]), len(data["user_agent"])) == (MAX_URL, MAX_USER_AGENT)


@given(st.text(max_size=50), st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4))
def test_bodies_are_compact_ascii_and_hold_what_went_in(name: str, metadata: dict[str, str]) -> None:
    message = replace(MESSAGE, recipient=Recipient("a@mail.example", name or None), metadata=metadata)
    raw = build_body(event(EventKind.SENT), message, BLOCK, "msg_7", PayloadMode.FULL)
    assert raw.isascii()
    data = json.loads(raw)["data"]
    assert data.get("metadata", {}) == metadata
    assert data["recipient"]["id"] == (name or "msg_7")
    assert json.dumps(json.loads(raw), separators=(",", ":")).encode() == raw


def test_not_a_number_is_refused() -> None:
    broken = replace(MESSAGE, metadata={"a": float("nan")})  # type: ignore[dict-item]  # what a bug could do
    with pytest.raises(ValueError, match="JSON compliant"):
        build_body(event(EventKind.SENT), broken, BLOCK, "msg_7", PayloadMode.THIN)


def endpoint(endpoint_id: str, *, brand_id: str = "harbour", **options: Any) -> Endpoint:
    return Endpoint(endpoint_id, brand_id, "https://hooks.harbour.example/", (Secret(bytes(32)),), **options)


def plan(events: list[Event], endpoints: dict[str, list[Endpoint]]) -> list[tuple[str, str, str]]:
    planned = plan_deliveries(
        events,
        messages={MESSAGE.number: MESSAGE},
        blocks={BLOCK.start: BLOCK},
        endpoints=endpoints,
        message_ids={event.message: f"msg_{event.message}" for event in events},
        now=clock.from_ms(AT),
    )
    assert all(d.id == f"{d.webhook_id}:{d.endpoint_id}" and d.webhook_id in d.body.decode() for d in planned)
    return [(d.brand_id, d.endpoint_id, d.event_type) for d in planned]


def test_each_endpoint_hears_the_types_it_asked_for_and_an_empty_set_asks_for_all() -> None:
    events = [event(EventKind.OPENED), event(EventKind.CLICKED, 4)]
    clicks = endpoint("clicks", events=frozenset({"message.clicked"}))
    assert plan(events, {"harbour": [endpoint("all"), clicks]}) == [
        ("harbour", "all", "message.opened"),
        ("harbour", "all", "message.clicked"),
        ("harbour", "clicks", "message.clicked"),
    ]


def test_a_correction_can_be_asked_for_alone() -> None:
    corrections = endpoint("corrections", events=frozenset({"message.reclassified"}))
    events = [event(EventKind.CLICKED, 4), correction(EventKind.CLICKED, 4)]
    assert plan(events, {"harbour": [corrections]}) == [("harbour", "corrections", "message.reclassified")]


def test_nobody_is_told_of_a_look_at_the_unsubscribe_page_or_of_an_implied_open() -> None:
    events = [event(EventKind.VIEWED, 2), event(EventKind.OPENED, implied=True)]
    assert plan(events, {"harbour": [endpoint("all")]}) == []


def test_no_event_reaches_another_brands_endpoint() -> None:
    assert plan([event(EventKind.OPENED)], {"meadow": [endpoint("x", brand_id="meadow")]}) == []
    assert plan([event(EventKind.OPENED)], {"harbour": [endpoint("x", brand_id="meadow")]}) == []


def test_planning_again_gives_the_same_deliveries() -> None:
    events, endpoints = [event(EventKind.OPENED)], {"harbour": [endpoint("a"), endpoint("b", mode=PayloadMode.FULL)]}
    options: dict[str, Any] = {
        "messages": {MESSAGE.number: MESSAGE},
        "blocks": {BLOCK.start: BLOCK},
        "endpoints": endpoints,
        "message_ids": {event.message: f"msg_{event.message}" for event in events},
        "now": clock.from_ms(AT),
    }
    first = plan_deliveries(events, **options)
    assert first == plan_deliveries(events, **options)
    assert first[0].body != first[1].body
