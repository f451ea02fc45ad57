"""What later hits say of earlier ones, on real stores: whatever was stored before, however a run ended."""

from __future__ import annotations

from typing import Any

import pytest

from app.lib import clock
from app.models.block import Channel, Link
from app.models.event import Event, EventKind, Judgement, Verdict
from app.storage import corrections
from app.storage.recount import recount
from tests.integration.conftest import LINKS, World, store_block

PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)
ELSEWHERE = {"HTTP_USER_AGENT": PHONE, "REMOTE_ADDR": "198.51.100.20"}
TRAP = 4 + len(LINKS)


@pytest.fixture
def trapped(world: World) -> World:
    world.block = store_block(world.services, links=(*(Link(link) for link in LINKS), Link(LINKS[0], trap=True)))
    return world


def ingest(world: World, batch_id: str) -> Any:
    """What was hit since the last time, under a name of its own."""
    lines = world.journal_lines()
    seen = getattr(world, "seen", 0)
    world.seen = len(lines)  # type: ignore[attr-defined]
    return world.services.ingest.run(batch_id, lines[seen:])


def hits(world: World, kind: EventKind, message: int = 0) -> list[Event]:
    found = world.services.events.of_message(world.number(message))
    return [event for event in found if event.kind is kind and not event.implied]


def figures(world: World) -> dict[Any, int]:
    return {key: number for key, number in world.services.batches.figures("alder").items() if number}


@pytest.mark.parametrize(("slots", "reason"), [((TRAP,), "honeypot"), ((4, 5, 6), "tainted_session")])
def test_an_open_just_before_a_trap_or_a_burst_of_the_same_client_is_corrected(
    trapped: World, slots: tuple[int, ...], reason: str
) -> None:
    trapped.hit(f"/o/{trapped.code(0)}.gif")
    ingest(trapped, "one")
    assert [event.judgement.counted for event in hits(trapped, EventKind.OPENED)] == [True]
    for slot in slots:
        trapped.hit(f"/c/{trapped.code(slot)}")
    batch = ingest(trapped, "two")
    (opened,) = hits(trapped, EventKind.OPENED)
    assert opened.judgement == Judgement(Verdict.MACHINE, False, (reason,))
    assert [event.corrects for event in batch.corrections] == [opened.id]
    assert figures(trapped) == dict(recount(trapped.services.database, "alder"))


def test_an_open_that_a_correction_implies_is_counted_once_also_by_a_run_that_died(trapped: World) -> None:
    trapped.hit(f"/o/{trapped.code(0)}.gif")
    ingest(trapped, "one")
    trapped.hit(f"/c/{trapped.code(4)}", **ELSEWHERE)
    trapped.hit(f"/c/{trapped.code(TRAP)}")
    lines = trapped.journal_lines()[trapped.seen :]  # type: ignore[attr-defined]
    pipeline = trapped.services.ingest
    whole = pipeline._steps
    pipeline._steps = whole[:-2]  # it dies before it tells and marks
    pipeline.run("two", lines)
    pipeline._steps = whole
    pipeline.run("two", lines)
    implied = [event for event in trapped.services.events.of_message(trapped.number()) if event.implied]
    assert [event.first for event in implied] == [True]
    assert figures(trapped) == dict(recount(trapped.services.database, "alder"))


@pytest.mark.parametrize(("path", "slot"), [("o", 0), ("c", 4)])
def test_a_hand_over_that_is_reported_while_a_hit_is_stored_is_seen(world: World, path: str, slot: int) -> None:
    world.hit(f"/{path}/{world.code(slot)}")
    brand = world.services.brands.by_id("alder")
    assert brand is not None
    pipeline = world.services.ingest

    def report(batch: Any) -> None:
        pipeline.record_sent(brand, world.block, world.number(), batch.records[0].at_ms - 500)

    whole = pipeline._steps
    place = [step.__name__ for step in whole].index("look_back") + 1
    pipeline._steps = (*whole[:place], report, *whole[place:])
    ingest(world, "one")
    pipeline._steps = whole
    (hit,) = (event for kind in (EventKind.OPENED, EventKind.CLICKED) for event in hits(world, kind))
    assert hit.judgement == Judgement(Verdict.MACHINE, False, ("too_fast",))
    assert figures(world) == dict(recount(world.services.database, "alder"))


def test_what_was_said_of_an_erased_person_stands_although_the_evidence_is_gone(world: World) -> None:
    world.hit(f"/c/{world.code(4)}")
    world.hit(f"/c/{world.code(4)}", **ELSEWHERE)
    ingest(world, "one")
    said = [event.judgement for event in hits(world, EventKind.CLICKED)]
    assert sorted(judgement.reasons for judgement in said) == [("ok",), ("scanner_echo",)]
    services = world.services
    hashed = services.keyring.address_hash("alder", Channel.EMAIL, "p0@people.example")
    services.erasure.erase("alder", hashed, suppress=True, at=clock.now())
    brand = services.brands.by_id("alder")
    assert brand is not None
    services.database["events"].update_many({}, {"$inc": {"rt": -60_000}})
    (done,) = [progress.corrected for progress, _ in services.reclassifier.run(brand, 0)]
    assert done == 0
    assert [event.judgement for event in hits(world, EventKind.CLICKED)] == said


def test_a_message_with_too_many_events_hides_none_of_its_neighbours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrections, "MOST_EVENTS", 2)
    monkeypatch.setattr(corrections, "_CHUNK", 3)
    for message, number in ((0, 12), (1, 2), (2, 1)):
        for _ in range(number):
            world.hit(f"/o/{world.code(0, message)}.gif")
    ingest(world, "one")
    found = corrections.Corrections(world.services.database).load([world.number(message) for message in range(3)])
    assert {message: len(events) for message, events in found.items()} == {world.number(1): 2, world.number(2): 1}
