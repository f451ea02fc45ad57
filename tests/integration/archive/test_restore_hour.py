"""Restoring on real stores: everything comes back once, and nothing that is there is touched."""

from __future__ import annotations

import pytest

from app.archive.hours import HOUR_MS, hour_folder
from app.archive.lines import UnreadableArchive
from app.lib import clock
from app.models.event import AGAIN, FIRST, FIRST_MACHINE, EventKind
from app.storage.erasures import Erasures
from tests.integration.archive.conftest import Archive
from tests.unit.archive.archived_events import HOUR, MACHINE, PERSON, event_at

NEXT = HOUR + HOUR_MS


@pytest.fixture
def archived(archive: Archive) -> Archive:
    """Two hours of events with all they may have, in the bucket."""
    archive.store(
        event_at(0, EventKind.SENT, message=1),
        event_at(1, message=1, personal=b"\x01sealed", user_agent="Mozilla/5.0", client="192.0.2.0/24", query="lead=1"),
        event_at(2, message=1),
        event_at(3, EventKind.CLICKED, message=1, campaign_id="spring"),
        event_at(4, message=2, judgement=MACHINE, rank=FIRST_MACHINE),
        event_at(HOUR_MS + 5, EventKind.UNSUBSCRIBED, message=1, method="one_click"),
    )
    for hour in (HOUR, NEXT):
        archive.writer(max_events=2).write(hour)
    return archive


def restore_all(archive: Archive, *, dry: bool = False) -> list[tuple[int, int]]:
    restorer = archive.restorer()
    return [restorer.restore(hour, dry=dry)[2:] for hour in restorer.hours(0, NEXT + 1)]


def test_into_an_empty_database_everything_comes_back_as_it_was(archived: Archive) -> None:
    before = archived.stored()
    archived.database["events"].delete_many({})
    archived.database["archives"].delete_many({})
    assert restore_all(archived) == [(5, 0), (1, 0)]
    assert archived.stored() == before
    assert [archived.events.counts("alder", hour, hour + HOUR_MS).total() for hour in (HOUR, NEXT)] == [5, 1]


def test_again_changes_nothing(archived: Archive) -> None:
    archived.database["events"].delete_many({"k": 2})
    assert restore_all(archived) == [(3, 2), (0, 1)]
    before = archived.stored()
    assert restore_all(archived) == [(0, 5), (0, 1)]
    assert archived.stored() == before


def test_what_is_there_is_never_overwritten(archived: Archive) -> None:
    archived.database["events"].update_many({}, {"$set": {"c": "changed"}})
    before = archived.stored()
    restore_all(archived)
    assert archived.stored() == before


def test_a_dry_run_says_what_would_come_back_and_writes_nothing(archived: Archive) -> None:
    archived.database["events"].delete_many({"k": 2})
    before = archived.stored()
    assert restore_all(archived, dry=True) == [(3, 2), (0, 1)]
    assert archived.stored() == before


def test_only_the_hours_asked_for_are_looked_at(archived: Archive) -> None:
    assert list(archived.restorer().hours(HOUR, NEXT)) == [HOUR]
    assert list(archived.restorer().hours(NEXT, NEXT + 1)) == [NEXT]


def test_a_changed_file_is_not_restored(archived: Archive) -> None:
    archived.database["events"].delete_many({})
    folder = hour_folder("telltale/", "alder", HOUR)
    key = next(key for key in archived.objects() if key.startswith(folder + "events-00000"))
    archived.bucket.put(key, b"other", "application/gzip")
    with pytest.raises(UnreadableArchive):
        archived.restorer().restore(HOUR)
    assert archived.stored() == []


def test_erased_people_come_back_without_what_could_tell_of_them(archived: Archive) -> None:
    archived.database["events"].delete_many({})
    Erasures(archived.database).add([1], clock.now())
    restore_all(archived)
    found = archived.database["events"].find({"m": 1})
    assert all(row.get("x") and not {"ip", "q", "p"} & row.keys() for row in found)


def test_an_event_that_was_archived_before_its_correction_comes_back_corrected(archive: Archive) -> None:
    """The first open turns out to be a machine's an hour later, and the second becomes the first."""
    early, late = event_at(1), event_at(2, rank=AGAIN)
    correction = event_at(
        HOUR_MS + 1,
        EventKind.RECLASSIFIED,
        corrects=early.id,
        corrects_kind=EventKind.OPENED,
        before=PERSON,
        judgement=MACHINE,
    )
    archive.store(early, late, correction)
    archive.writer().write(HOUR)
    archive.writer().write(NEXT)
    archive.database["events"].delete_many({})
    restore_all(archive)
    rows = {bytes(row["_id"]): row for row in archive.stored()}
    assert (rows[early.id]["n"], rows[early.id]["r"], rows[early.id]["f"]) == (
        False,
        list(MACHINE.reasons),
        FIRST_MACHINE,
    )
    assert rows[late.id]["f"] == FIRST
    before = archive.stored()
    restore_all(archive)
    assert archive.stored() == before


def test_an_event_whose_rank_is_taken_comes_back_without_it(archived: Archive) -> None:
    archived.database["events"].delete_many({"k": 2})
    newer = event_at(HOUR_MS * 9, message=1)
    archived.store(newer)
    assert restore_all(archived) == [(3, 2), (0, 1)]
    first = archived.database["events"].find_one({"m": 1, "k": 2, "f": FIRST})
    assert first is not None
    assert bytes(first["_id"]) == newer.id
