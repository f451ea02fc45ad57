"""The recount from raw events finds what events are, key by key."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pymongo.database import Database

from app.models.count import CountKey
from app.models.event import AGAIN, FIRST, FIRST_APPLE, FIRST_MACHINE, EventKind, Judgement, Verdict
from app.storage.events import EventStore
from app.storage.recount import recount
from tests.integration.storage.test_events import MACHINE, an_event

APPLE = Judgement(Verdict.MACHINE, False, ("apple_mpp",))
KEY = CountKey("acme", "", "2023-11-14", "opened", "human", True, FIRST, "footer")
EVENTS = [
    (an_event(1), KEY),
    (an_event(1, rank=AGAIN, slot=0), KEY._replace(rank=AGAIN, part="header")),
    (an_event(2, campaign_id="spring", implied=True, slot=0), KEY._replace(campaign_id="spring", part="implied")),
    (
        an_event(3, judgement=APPLE, rank=FIRST_APPLE),
        KEY._replace(share="apple", counted=False, rank=FIRST_APPLE),
    ),
    (
        an_event(3, EventKind.CLICKED, judgement=MACHINE, rank=FIRST_MACHINE, slot=5),
        KEY._replace(kind="clicked", share="machine", counted=False, rank=FIRST_MACHINE, part=""),
    ),
    (an_event(4, EventKind.SENT, at_ms=1000, slot=0), KEY._replace(kind="sent", day="1970-01-01", part="")),
    (an_event(4, EventKind.VIEWED, rank=AGAIN, slot=2), KEY._replace(kind="viewed", rank=AGAIN, part="")),
]


@pytest.fixture
def stored(database: Database[dict[str, Any]]) -> Database[dict[str, Any]]:
    database["events"].create_indexes(list(EventStore.INDEXES))
    events = [*(event for event, _ in EVENTS), an_event(9, brand_id="other")]
    assert len(EventStore(database).insert(events, "b")) == len(events)
    return database


def test_every_event_is_found_under_its_key(stored: Database[dict[str, Any]]) -> None:
    assert recount(stored, "acme") == {key: 1 for _, key in EVENTS}
    assert recount(stored, "nobody") == {}


def test_days_can_be_chosen(stored: Database[dict[str, Any]]) -> None:
    assert recount(stored, "acme", last_day=date(2023, 11, 13)) == {
        KEY._replace(kind="sent", day="1970-01-01", part=""): 1
    }
    assert recount(stored, "acme", first_day=date(2023, 11, 14)).total() == 6
