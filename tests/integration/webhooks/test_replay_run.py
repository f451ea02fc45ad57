"""Replays on real stores: what they make due, how fast, that they end, and what a killed worker leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from app.errors import Conflict, StoreUnavailable
from app.lib import clock
from app.models.delivery import Delivery, DeliveryState
from app.models.replay import REPLAYED_STATES, Replay, ReplayState, Selection
from app.storage.deliveries import Deliveries
from app.storage.event_deliveries import EventDeliveries
from app.storage.replays import MAX_RUNNING, Replays, new_replay_id
from app.webhooks import replay as replaying
from app.webhooks.replay import AHEAD, LEASE_SECONDS, PAGE, RATE, run_due

MakeDeliveries = Callable[..., list[Delivery]]
Begin = Callable[..., Replay]
NOW = clock.from_ms(clock.now_ms())
BEFORE, SOON = NOW - timedelta(hours=1), NOW + timedelta(hours=1)


@pytest.fixture
def replays(database: Database[dict[str, Any]]) -> Replays:
    database[Replays.COLLECTION].create_indexes(list(Replays.INDEXES))
    return Replays(database)


@pytest.fixture
def finder(database: Database[dict[str, Any]]) -> EventDeliveries:
    return EventDeliveries(database)


@pytest.fixture
def begin(replays: Replays, deliveries: Deliveries, finder: EventDeliveries) -> Begin:
    def begin(brand_id: str = "harbour", **selection: Any) -> Replay:
        chosen = Selection(**{"since": BEFORE, "until": SOON, **selection})
        return replaying.begin(
            replays, deliveries, finder, replay_id=new_replay_id(), brand_id=brand_id, chosen=chosen, now=NOW
        )

    return begin


@pytest.fixture
def run(replays: Replays, deliveries: Deliveries, finder: EventDeliveries) -> Callable[..., int]:
    def run(now: datetime = NOW, ledger: Replays | None = None) -> int:
        return run_due(ledger or replays, deliveries, finder, now=now, token=f"run at {now}")

    return run


def ended(made: list[Delivery], state: DeliveryState = DeliveryState.DEAD) -> list[Delivery]:
    return [replace(one, state=state, attempts=10) for one in made]


def waiting(deliveries: Deliveries, made: list[Delivery]) -> list[str]:
    records = (deliveries.find(one.brand_id, one.id) for one in made)
    return [one.delivery.id for one in records if one and one.delivery.state is DeliveryState.PENDING]


def test_a_replay_makes_due_what_it_selects_and_nothing_else(
    deliveries: Deliveries, replays: Replays, make_deliveries: MakeDeliveries, begin: Begin, run: Callable[..., int]
) -> None:
    dead, parked = ended(make_deliveries(2)), ended(make_deliveries(1), DeliveryState.PARKED)
    arrived = ended(make_deliveries(1), DeliveryState.DELIVERED)
    old = [replace(one, created_at=BEFORE - timedelta(seconds=1)) for one in ended(make_deliveries(1))]
    other = ended(make_deliveries(1, endpoint_id="other")) + ended(make_deliveries(1, brand_id="meadow"))
    deliveries.insert_many([*dead, *parked, *arrived, *old, *other])
    begun = begin(endpoint_id="main")
    assert (begun.total, run()) == (3, 3)
    assert waiting(deliveries, [*dead, *parked, *arrived, *old, *other]) == [one.id for one in [*dead, *parked]]
    claimed = deliveries.claim("harbour", "main", now=NOW, lease_seconds=30, limit=10, token="t")
    assert [(one.id, one.items, one.attempts) for one in claimed] == [
        (one.id, one.items, 0) for one in [*dead, *parked]
    ]
    done = replays.get("harbour", begun.id)
    assert done is not None
    assert (done.state, done.done, done.page) == (ReplayState.DONE, 3, ())


def test_a_second_replay_of_the_same_deliveries_is_not_swallowed(
    deliveries: Deliveries, make_deliveries: MakeDeliveries, begin: Begin, run: Callable[..., int]
) -> None:
    made = ended(make_deliveries(1), DeliveryState.DELIVERED)
    deliveries.insert_many(made)
    for _ in range(2):
        begin(states=frozenset({DeliveryState.DELIVERED}))
        assert run() == 1
        (claimed,) = deliveries.claim("harbour", "main", now=NOW, lease_seconds=30, limit=10, token="t")
        deliveries._rows.update_one({"_id": claimed.id}, {"$set": {"state": "delivered"}, "$unset": {"token": 1}})


def test_replayed_deliveries_are_due_at_a_rate_and_a_little_ahead_of_the_clock(
    deliveries: Deliveries, replays: Replays, make_deliveries: MakeDeliveries, begin: Begin, run: Callable[..., int]
) -> None:
    steps = int(RATE * AHEAD.total_seconds()) // PAGE + 1
    deliveries.insert_many(ended(make_deliveries(PAGE * (steps + 1))))
    begun = begin()
    assert run() == PAGE * steps
    due = [row["due_at"] for row in deliveries._rows.find({"state": "pending"}).sort("due_at", 1)]
    assert (due[0], due[-1]) == (NOW, NOW + timedelta(seconds=PAGE * (steps - 1) / RATE))
    assert run() == 0
    assert run(NOW + AHEAD) == PAGE
    done = replays.get("harbour", begun.id)
    assert done is not None
    assert (done.state, done.done, done.finished_at) == (ReplayState.DONE, begun.total, NOW + AHEAD)


class Killed(Replays):
    """A worker that dies when it stores its progress for the second time."""

    saved = 0

    def save(self, *args: Any, **kwargs: Any) -> bool:
        self.saved += 1
        if self.saved == 2:
            raise StoreUnavailable("killed")
        return super().save(*args, **kwargs)


def test_a_killed_workers_page_is_taken_up_again_sent_once_and_counted_once(
    *,
    database: Database[dict[str, Any]],
    deliveries: Deliveries,
    replays: Replays,
    make_deliveries: MakeDeliveries,
    begin: Begin,
    run: Callable[..., int],
) -> None:
    made = ended(make_deliveries(PAGE + 10))
    deliveries.insert_many(made)
    begun = begin()
    with pytest.raises(StoreUnavailable):
        run(ledger=Killed(database))
    first = waiting(deliveries, made)
    assert len(first) == PAGE
    # One of them arrives before anybody finds the lease over: it is not sent a second time.
    database["deliveries"].update_one({"_id": first[0]}, {"$set": {"state": "delivered"}})
    assert run(NOW + timedelta(seconds=LEASE_SECONDS - 1)) == 0
    run(NOW + timedelta(seconds=LEASE_SECONDS))
    assert waiting(deliveries, made) == [one.id for one in made if one.id != first[0]]
    done = replays.get("harbour", begun.id)
    assert done is not None
    assert (done.state, done.done) == (ReplayState.DONE, PAGE + 10)


def test_a_cancelled_replay_stops_also_in_the_middle_of_a_run(
    database: Database[dict[str, Any]],
    deliveries: Deliveries,
    make_deliveries: MakeDeliveries,
    begin: Begin,
    run: Callable[..., int],
) -> None:
    class Cancelling(Replays):
        def save(self, replay: Replay, **kwargs: Any) -> bool:
            if replay.done:
                self.cancel("harbour", replay.id, now=NOW)
            return super().save(replay, **kwargs)

    made = ended(make_deliveries(PAGE * 3))
    deliveries.insert_many(made)
    begun = begin()
    ledger = Cancelling(database)
    run(ledger=ledger)
    assert len(waiting(deliveries, made)) == PAGE
    assert not ledger.cancel("harbour", begun.id, now=NOW)
    assert run(NOW + timedelta(hours=1)) == 0
    stopped = ledger.get("harbour", begun.id)
    assert stopped is not None
    assert (stopped.state, stopped.finished_at) == (ReplayState.CANCELLED, NOW)


def test_an_event_is_found_alone_and_inside_a_batch(
    deliveries: Deliveries,
    finder: EventDeliveries,
    make_deliveries: MakeDeliveries,
    begin: Begin,
    run: Callable[..., int],
) -> None:
    first, second, third = ended(make_deliveries(3, endpoint_id="batched"), DeliveryState.DELIVERED)
    batch = replace(first, items=(*first.items, *second.items), batch_id="bat_01JGFJM0000000000000000001")
    alone = replace(second, id=f"{second.items[0].event_id}:main", endpoint_id="main")
    deliveries.insert_many([batch, alone, third])
    event_id = second.items[0].event_id
    found = finder.ids_of("harbour", [event_id, "evt_1", "x"], endpoint_id=None, states=REPLAYED_STATES)
    assert found == sorted([batch.id, alone.id])
    assert finder.ids_of("meadow", [event_id], endpoint_id=None, states=REPLAYED_STATES) == []
    assert finder.ids_of("harbour", [event_id], endpoint_id="main", states={DeliveryState.DEAD}) == []
    assert begin(event_ids=(event_id,), states=REPLAYED_STATES).total == 2
    assert run() == 2
    assert waiting(deliveries, [batch, alone, third]) == [batch.id, alone.id]


def test_many_events_are_replayed_to_the_last(
    deliveries: Deliveries, replays: Replays, make_deliveries: MakeDeliveries, begin: Begin, run: Callable[..., int]
) -> None:
    made = ended(make_deliveries(replaying.EVENTS * 2 + 1))
    deliveries.insert_many(made)
    begun = begin(event_ids=tuple(one.items[0].event_id for one in made))
    assert (begun.total, run()) == (len(made), len(made))
    assert waiting(deliveries, made) == [one.id for one in made]
    done = replays.get("harbour", begun.id)
    assert done is not None
    assert (done.state, done.selection) == (ReplayState.DONE, begun.selection)


def test_a_brand_has_a_bounded_number_of_running_replays(
    replays: Replays, begin: Begin, run: Callable[..., int]
) -> None:
    begun = [begin() for _ in range(MAX_RUNNING)]
    with pytest.raises(Conflict) as refused:
        begin()
    assert refused.value.code == "too_many_replays"
    replays.insert(begun[0])
    begin("meadow")
    assert replays.cancel("harbour", begun[0].id, now=NOW)
    begin()
    run()
    assert replays.count_running() == 0
