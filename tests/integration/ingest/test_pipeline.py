"""Ingest on real stores: from the front's journal to events, deliveries and counts, whatever runs twice."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from app.errors import StoreUnavailable
from app.ingest.pipeline import Pipeline
from app.models.event import Event, EventKind, Verdict
from app.storage.batches import Batches
from app.storage.suppressions import Suppressions
from tests.integration.conftest import World, store_block

GOOGLE = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"


def events(world: World, message: int = 0) -> list[Event]:
    return world.services.events.of_message(world.number(message))


def deliveries(world: World) -> int:
    return world.services.database["deliveries"].count_documents({})


def totals(world: World) -> dict[str, tuple[int, int]]:
    """kind → (counted events, unique events), from rollups and markers."""
    found: dict[str, tuple[int, int]] = {}
    for key, number in world.services.batches.figures("alder").items():
        if key.counted:
            total, unique = found.get(key.kind, (0, 0))
            found[key.kind] = (total + number, unique + (number if key.rank == 0 else 0))
    return found


def play(world: World) -> None:
    """Twenty people: some open twice, some click two links, one unsubscribes; a bot, a HEAD and a stranger too."""
    for message in range(20):
        world.hit(f"/o/{world.code(1, message)}.gif", HTTP_USER_AGENT=GOOGLE)
        if message % 2:
            world.hit(f"/o/{world.code(0, message)}.gif")
        if message % 4 == 0:
            world.hit(f"/c/{world.code(4, message)}")
            world.hit(f"/c/{world.code(5, message)}")
    world.hit(f"/u/{world.code(2, 3)}", "POST", body=b"List-Unsubscribe=One-Click")
    world.hit(f"/u/{world.code(2, 3)}", "POST", body=b"List-Unsubscribe=One-Click")
    world.hit(f"/c/{world.code(4, 1)}", HTTP_USER_AGENT="python-requests/2.32.3", REMOTE_ADDR="198.51.100.9")
    world.hit(f"/c/{world.code(4, 1)}", "HEAD")


EXPECTED = {"opened": (30, 20), "clicked": (10, 5), "unsubscribed": (1, 1)}


def test_hits_become_events_counts_and_deliveries(world: World) -> None:
    play(world)
    batch = world.ingest()
    assert totals(world) == EXPECTED
    assert batch.dropped == {}
    assert deliveries(world) == 30 + 10 + 1 + 2, "the two uncounted clicks are told as well"
    assert batch.endpoints == {("alder", "alder-main")}
    # By slot and not by time: both may have come in the same millisecond.
    first, second = (next(event for event in events(world, 1) if event.slot == slot) for slot in (1, 0))
    assert (first.kind, first.judgement.verdict, first.judgement.reasons) == (
        EventKind.OPENED,
        Verdict.PROXY,
        ("proxy_gmail",),
    )
    assert (second.judgement.reasons, second.client) == (("ok",), "192.0.2.0/24")
    assert [first.first, second.first] == [True, False]


def test_a_batch_run_again_or_cut_differently_changes_nothing(world: World) -> None:
    play(world)
    world.ingest()
    before = [event for message in range(20) for event in events(world, message)]
    world.ingest()
    lines = world.journal_lines().splitlines(keepends=True)
    world.services.ingest.run("other-cut-1", b"".join(lines[:17]))
    world.services.ingest.run("other-cut-2", b"".join(lines[17:]))
    assert [event for message in range(20) for event in events(world, message)] == before
    assert totals(world) == EXPECTED
    assert deliveries(world) == 43


def test_one_batch_run_by_many_at_once_is_counted_once(world: World) -> None:
    play(world)
    lines = world.journal_lines()
    faults: list[BaseException] = []

    def run() -> None:
        try:
            world.services.ingest.run("batch-1", lines)
        except BaseException as error:  # noqa: BLE001  # shown below, from the main thread
            faults.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert totals(world) == EXPECTED
    assert deliveries(world) == 43


@pytest.mark.parametrize("step", ["suppress", "classify", "store", "tell", "mark"])
def test_a_worker_killed_before_any_step_leaves_nothing_by_half(world: World, step: str) -> None:
    """The batch stops before `step`, as `kill -9` would stop it, and is run again by another worker."""

    class Killed(Exception):
        pass

    def die(batch: Any) -> None:
        raise Killed

    play(world)
    pipeline = world.services.ingest
    steps = pipeline._steps
    pipeline._steps = tuple(die if each.__name__ == step else each for each in steps)
    with pytest.raises(Killed):
        world.ingest()
    pipeline._steps = steps
    assert totals(world) == {}
    world.ingest()
    assert totals(world) == EXPECTED
    assert deliveries(world) == 43


def test_what_cannot_be_read_is_set_aside_and_stops_nothing(world: World) -> None:
    world.hit(f"/o/{world.code(1)}")
    lines = b"{broken\n" + world.journal_lines() + b"\n\xff\xfe\n" + b'{"v":9}\n'
    for _ in range(2):
        batch = world.services.ingest.run("batch-1", lines)
        assert batch.dropped == {"broken": 3}
    assert len(events(world)) == 1
    letters = list(world.services.database["dead_letters"].find())
    assert len(letters) == 3
    assert all(b"broken" not in letter["line"] for letter in letters)


def test_what_belongs_to_nobody_is_dropped_by_reason(world: World) -> None:
    codes = world.services.codes
    unknown = codes.encode(world.block.end + 10_000_000)
    good = world.code(1)
    for path, host in (
        (f"/o/{unknown}", "t.alder.example"),
        (f"/o/{good}", "t.birch.example"),
        (f"/o/{world.code(4)}", "t.alder.example"),
    ):
        world.hit(path, host=host)
    batch = world.ingest()
    assert batch.dropped == {"unknown_block": 1, "foreign_host": 1, "wrong_purpose": 1}
    assert world.services.database["events"].count_documents({}) == 0


def test_allowed_query_fields_stay_with_the_event(world: World) -> None:
    world.hit(f"/o/{world.code(1)}", QUERY_STRING="lead=L-1&email=ann@people.example")
    world.ingest()
    assert [event.query for event in events(world)] == ["lead=L-1"]


def test_ingest_unsubscribes_when_the_front_could_not(world: World) -> None:
    world.hit(f"/u/{world.code(2)}", "POST")
    world.services.database["suppressions"].delete_many({})
    world.ingest()
    address_hash = world.services.messages.get(world.number()).address_hash  # type: ignore[union-attr]
    assert Suppressions(world.services.database).covers("alder", address_hash, "news")
    assert [event.method for event in events(world)] == ["link"]


def test_without_a_list_the_whole_brand_is_suppressed(world: World) -> None:
    world.block = store_block(world.services, list_id=None)
    world.hit(f"/u/{world.code(2)}", "POST")
    address_hash = world.services.messages.get(world.number()).address_hash  # type: ignore[union-attr]
    assert Suppressions(world.services.database).covers("alder", address_hash, "anything")


def test_a_bot_that_posts_still_unsubscribes(world: World) -> None:
    world.hit(f"/u/{world.code(2)}", "POST", HTTP_USER_AGENT="Barracuda Sentinel (EE)")
    world.ingest()
    assert [(event.kind, event.judgement.counted) for event in events(world)] == [(EventKind.UNSUBSCRIBED, True)]


def test_losing_redis_between_batches_changes_no_figure(world: World) -> None:
    play(world)
    world.ingest("one")
    world.services.redis.flushall()
    for message in range(20):
        world.hit(f"/o/{world.code(1, message)}")
    world.ingest("two")
    assert totals(world) == {**EXPECTED, "opened": (50, 20)}
    assert [event.first for event in events(world)].count(True) == 2, "one open and one click"


def test_compaction_keeps_every_figure_also_when_two_run_at_once(world: World) -> None:
    play(world)
    for number, line in enumerate(world.journal_lines().splitlines(keepends=True)):
        world.services.ingest.run(f"batch-{number}", line)
    batches = world.services.batches
    moved: list[int] = []

    def compact() -> None:
        own = Batches(world.services.database)
        while True:
            try:
                done = own.compact(limit=7)
            except StoreUnavailable:
                continue  # the other one's transaction won
            moved.append(done)
            if not done:
                return

    threads = [threading.Thread(target=compact) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert totals(world) == EXPECTED, "while it is compacted as well"
    assert batches.waiting()[0] == 0
    assert sum(moved) >= 1
    assert totals(world) == EXPECTED


def test_sent_is_stored_once_however_often_it_is_reported(world: World) -> None:
    brand = world.services.brands.by_id("alder")
    assert brand is not None
    pipeline: Pipeline = world.services.ingest
    first, batch = pipeline.record_sent(brand, world.block, world.number(), 1_700_000_000_000)
    again, _ = pipeline.record_sent(brand, world.block, world.number(), 1_800_000_000_000)
    assert first == again
    assert batch.endpoints == {("alder", "alder-main")}
    assert totals(world) == {"sent": (1, 1)}
    assert deliveries(world) == 1


def test_the_marker_says_what_became_of_the_batch(world: World) -> None:
    play(world)
    world.hit(f"/o/{world.services.codes.encode(world.block.end + 10_000_000)}")
    world.ingest("batch-7")
    assert world.services.batches.marked(["batch-7", "batch-8"]) == {"batch-7"}
    marker = world.services.database["batches"].find_one({"_id": "batch-7"})
    assert marker is not None
    assert (marker["records"], marker.get("dropped")) == (len(world.records()), {"unknown_block": 1})
