"""Events: stored once, one first per message and kind, the same answer on every run of a batch."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from pymongo.database import Database

from app.lib import ids
from app.models.event import AGAIN, FIRST, Event, EventKind, Judgement, Verdict
from app.storage.client import connect
from app.storage.events import EventStore
from config.settings import Settings

HUMAN = Judgement(Verdict.HUMAN, True, ("ok",))
MACHINE = Judgement(Verdict.MACHINE, False, ("bot_known",))


def an_event(message: int = 5000, kind: EventKind = EventKind.OPENED, **fields: Any) -> Event:
    event = Event(
        id=ids.new_id(),
        kind=kind,
        brand_id="acme",
        message=message,
        block=message,
        slot=1,
        at_ms=1_700_000_000_000,
        recorded_ms=1_700_000_000_100,
        judgement=HUMAN,
        rank=FIRST,
        rules_version="1",
    )
    return event._replace(**fields)


@pytest.fixture
def store(database: Database[dict[str, Any]]) -> EventStore:
    database["events"].create_indexes(list(EventStore.INDEXES))
    return EventStore(database)


def test_an_event_comes_back_as_it_was_stored(store: EventStore) -> None:
    event = an_event(campaign_id="spring", user_agent="Agent/1", client="192.0.2.0/24")
    assert store.insert([event], "b1") == [event]
    assert store.of_message(5000) == [event]


def test_only_one_of_many_is_first(store: EventStore) -> None:
    stored = [store.insert([an_event()], f"b{number}")[0] for number in range(5)]
    assert [event.first for event in stored] == [True, False, False, False, False]
    assert [event.first for event in store.of_message(5000)].count(True) == 1


def test_kinds_and_messages_have_firsts_of_their_own(store: EventStore) -> None:
    events = [an_event(), an_event(kind=EventKind.CLICKED), an_event(message=6000)]
    assert all(event.first for event in store.insert(events, "b1"))


def test_a_batch_run_again_gives_the_same_answer(store: EventStore) -> None:
    store.insert([an_event(message=7000)], "earlier")
    events = [an_event(), an_event(rank=AGAIN), an_event(message=7000)]
    answer = store.insert(events, "b1")
    assert [event.first for event in answer] == [True, False, False]
    assert store.insert(events, "b1") == answer
    assert store.insert(events[:1], "b1") == answer[:1]
    assert len(store.of_message(5000)) == 2


def test_an_event_belongs_to_the_batch_that_stored_it(store: EventStore) -> None:
    event, other = an_event(), an_event(message=6000)
    store.insert([event], "b1")
    assert [found.id for found in store.insert([event, other], "b2")] == [other.id]
    assert [found.id for found in store.insert([event, other], "b1")] == [event.id]


def test_the_same_id_twice_in_a_batch_is_one_event(store: EventStore) -> None:
    event = an_event()
    assert store.insert([event, event], "b1") == [event]
    assert len(store.of_message(5000)) == 1


@pytest.mark.parametrize("kind", [EventKind.SENT, EventKind.UNSUBSCRIBED])
def test_sent_and_unsubscribed_happen_once_per_message(store: EventStore, kind: EventKind) -> None:
    first, second = an_event(kind=kind), an_event(kind=kind)
    assert store.insert([first], "b1") == [first]
    assert store.insert([second], "b2") == []
    assert store.insert([second], "b2") == []
    assert store.find_first(5000, kind) == first


def test_an_uncounted_event_is_never_first(store: EventStore) -> None:
    store.insert([an_event(judgement=MACHINE, rank=AGAIN)], "b1")
    assert store.insert([an_event()], "b2")[0].first


def test_a_run_sees_the_rank_that_another_run_of_its_batch_gave_an_event(store: EventStore) -> None:
    event = an_event(rank=AGAIN)
    mine, others = store.insert([event], "b1"), store.insert([event], "b1")
    place = event.place
    assert place is not None
    (first,), _ = store.confirm_firsts(others, {place})
    (seen,), _ = store.confirm_firsts(mine, {place})
    assert [first.first, seen.first] == [True, True], "either of the two runs may be the one that is counted"


def test_racing_batches_agree_on_one_first_per_message(settings: Settings, store: EventStore) -> None:
    """Eight threads store events of 50 messages at once, every batch twice; then the truth is counted."""
    seeded = random.Random(7)  # not for secrets
    batches = {
        f"b{number}": [an_event(message=5000 + 10 * seeded.randrange(50)) for _ in range(40)] for number in range(24)
    }
    runs = [*batches.items(), *batches.items()]
    seeded.shuffle(runs)
    answers: dict[str, list[list[Event]]] = {name: [] for name in batches}
    lock = threading.Lock()
    faults: list[BaseException] = []

    def work() -> None:
        connection = connect(settings)
        own = EventStore(connection)
        try:
            while True:
                with lock:
                    if not runs:
                        return
                    name, events = runs.pop()
                answer = own.insert(events, name)
                with lock:
                    answers[name].append(answer)
        except BaseException as error:  # noqa: BLE001  # shown below, from the main thread
            faults.append(error)
        finally:
            connection.client.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    stored = [event for message in range(50) for event in store.of_message(5000 + 10 * message)]
    assert len(stored) == 24 * 40
    firsts = [event.message for event in stored if event.first]
    assert sorted(firsts) == sorted({event.message for event in stored})
    truth = {event.id: event.first for event in stored}
    for one, two in answers.values():
        assert one == two
        assert {event.id: event.first for event in one} == {event.id: truth[event.id] for event in one}


def test_pages_follow_the_order_of_recording_and_miss_nothing(store: EventStore) -> None:
    late = an_event(message=9000, recorded_ms=2_000)
    store.insert([an_event(message=number * 10, recorded_ms=1_000 + number // 3) for number in range(10)], "b1")
    seen: list[bytes] = []
    after = None
    while page := store.page("acme", after=after, before_ms=3_000, limit=3):
        seen += [event.id for event in page]
        after = (page[-1].recorded_ms, page[-1].id)
        if late.id not in seen and len(seen) == 9:
            # Its hit is as old as the others', but it was recorded just now.
            store.insert([late], "b2")
    assert len(seen) == len(set(seen)) == 11
    assert seen[-1] == late.id
    assert store.page("other", after=None, before_ms=3_000, limit=3) == []
    assert len(store.page("acme", after=None, before_ms=1_001, limit=50)) == 3


def test_retention_deletes_a_brands_old_events_in_steps(store: EventStore) -> None:
    store.insert([an_event(message=number * 10, recorded_ms=number) for number in range(10)], "b1")
    store.insert([an_event(message=990, recorded_ms=1, brand_id="other")], "b2")
    kind = an_event().kind
    assert store.delete_recorded_before("acme", EventKind.UNSUBSCRIBED, 5, limit=3) == 0
    assert store.delete_recorded_before("acme", kind, 5, limit=3) == 3
    assert store.delete_recorded_before("acme", kind, 5, limit=3) == 2
    assert store.delete_recorded_before("acme", kind, 5, limit=3) == 0
    assert len(store.page("acme", after=None, before_ms=100, limit=50)) == 5
    assert len(store.page("other", after=None, before_ms=100, limit=50)) == 1
