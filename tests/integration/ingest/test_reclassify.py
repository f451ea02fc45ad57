"""`flask events reclassify`: the rules of now over stored events."""

from __future__ import annotations

from collections import Counter

import pytest
from click.testing import CliRunner, Result
from flask import Flask

from app.commands import events as command
from app.errors import StoreUnavailable
from app.ingest import reclassify
from app.models.event import Event, EventKind, Verdict
from app.storage.recount import recount
from tests.integration.conftest import World
from tests.integration.front.conftest import ChangeBrand
from tests.unit.ingest.stories import SCANNER

SINCE = "2026-01-01"


def run(world: World, *arguments: str) -> Result:
    app = Flask("test")
    app.extensions["telltale"] = world.services
    with app.app_context():
        return CliRunner().invoke(command.group, ["reclassify", "--since", SINCE, *arguments])


def clicks(world: World) -> list[Event]:
    found = [event for message in range(20) for event in world.services.events.of_message(world.number(message))]
    return [event for event in found if event.kind is EventKind.CLICKED]


@pytest.fixture
def believed(world: World, change_brand: ChangeBrand, monkeypatch: pytest.MonkeyPatch) -> World:
    """Nine messages clicked by scanners whom the brand took for people, and three by people; a minute ago."""
    change_brand("alder", bots={"ignore": ["scanner_ua"]})
    for message in range(9):
        world.hit(f"/c/{world.code(4, message)}", HTTP_USER_AGENT=SCANNER, REMOTE_ADDR="198.51.100.9")
    for message in range(9, 12):
        world.hit(f"/c/{world.code(4, message)}")
    world.ingest()
    # Nobody waits for the moment in which batches are stored.
    monkeypatch.setattr(reclassify, "_SETTLE_MS", 0)
    monkeypatch.setattr(reclassify, "PAGE", 4)
    assert all(event.judgement.counted for event in clicks(world))
    return world


def assert_corrected(world: World) -> None:
    verdicts = Counter(event.judgement.verdict for event in clicks(world))
    assert verdicts == {Verdict.MACHINE: 9, Verdict.HUMAN: 3}
    figures = {key: number for key, number in world.services.batches.figures("alder").items() if number}
    assert figures == dict(recount(world.services.database, "alder"))
    told = world.services.database["deliveries"].count_documents({"event_type": "message.reclassified"})
    assert told == 9


def test_only_what_differs_is_corrected_counted_and_told(believed: World, change_brand: ChangeBrand) -> None:
    assert "12 events looked at, 0 corrected" in run(believed, "--brand", "alder").output
    change_brand("alder", bots={})
    answer = run(believed)
    assert answer.exit_code == 0
    assert "alder: 12 events looked at, 9 corrected" in answer.output
    assert_corrected(believed)
    assert "alder: 12 events looked at, 0 corrected" in run(believed).output
    assert_corrected(believed)


def test_a_dry_run_says_what_would_change_and_changes_nothing(believed: World, change_brand: ChangeBrand) -> None:
    change_brand("alder", bots={})
    assert "9 would be corrected" in run(believed, "--dry-run").output
    assert all(event.judgement.counted for event in clicks(believed))


def test_a_run_that_died_goes_on_and_what_it_had_not_told_is_told(
    believed: World, change_brand: ChangeBrand, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_brand("alder", bots={})
    real = believed.services.reclassifier._tell
    calls = []

    def dies(*arguments: object) -> set[tuple[str, str]]:
        calls.append(1)
        if len(calls) == 2:
            raise StoreUnavailable("killed between the correction and its telling")
        return real(*arguments)  # type: ignore[arg-type,return-value]

    monkeypatch.setattr(believed.services.reclassifier, "_tell", dies)
    assert isinstance(run(believed, "--brand", "alder").exception, StoreUnavailable)
    assert believed.services.database["counters"].count_documents({"_id": "reclassify:alder"}) == 1
    monkeypatch.setattr(believed.services.reclassifier, "_tell", real)
    again = run(believed, "--brand", "alder")
    assert "alder: 4 events" not in again.output, "the first page was done"
    assert "12 events looked at, 9 corrected" in again.output
    assert_corrected(believed)
    assert believed.services.database["counters"].count_documents({"_id": "reclassify:alder"}) == 0


def test_an_unknown_brand_is_refused(world: World) -> None:
    answer = run(world, "--brand", "nobody")
    assert answer.exit_code == 2
    assert "there is no brand nobody" in answer.output
