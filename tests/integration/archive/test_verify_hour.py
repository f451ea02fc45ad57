"""Whatever is not as it was written is found."""

from __future__ import annotations

import pytest

from app.archive.hours import hour_folder
from app.models.event import PUBLIC_KINDS, EventKind
from tests.integration.archive.conftest import Archive
from tests.unit.archive.archived_events import HOUR, event_at

FOLDER = hour_folder("telltale/", "alder", HOUR)
MANIFEST = FOLDER + "_manifest.json"


@pytest.fixture
def files(archive: Archive) -> list[str]:
    """The files of an archived hour."""
    archive.store(*(event_at(number, message=number) for number in range(1, 6)))
    archive.writer(max_events=3).write(HOUR)
    return sorted(key for key in archive.objects() if key != MANIFEST)


def test_all_is_well(archive: Archive, files: list[str]) -> None:
    assert archive.faults(HOUR) == archive.faults(HOUR, quick=True) == []


def test_a_missing_manifest_is_found(archive: Archive, files: list[str]) -> None:
    archive.bucket.delete(MANIFEST)
    assert archive.faults(HOUR) == ["there is no manifest"]


def test_a_changed_manifest_is_found(archive: Archive, files: list[str]) -> None:
    archive.bucket.put(MANIFEST, archive.objects()[MANIFEST] + b"\n", "application/json")
    assert archive.faults(HOUR) == ["the manifest is not the one that was written"]
    archive.bucket.put(MANIFEST, b"{}", "application/json")
    assert "cannot be read" in archive.faults(HOUR)[0]


def test_a_missing_file_is_found(archive: Archive, files: list[str]) -> None:
    archive.bucket.delete(files[1])
    assert archive.faults(HOUR, quick=True) == [f"{files[1].removeprefix(FOLDER)} is missing"]


def test_a_cut_file_is_found(archive: Archive, files: list[str]) -> None:
    archive.bucket.put(files[0], archive.objects()[files[0]][:-1], "application/gzip")
    assert "bytes, not" in archive.faults(HOUR, quick=True)[0]


def test_a_changed_file_is_found_by_reading_it(archive: Archive, files: list[str]) -> None:
    content = archive.objects()[files[0]]
    archive.bucket.put(files[0], content[:-1] + bytes([content[-1] ^ 1]), "application/gzip")
    assert archive.faults(HOUR, quick=True) == []
    assert archive.faults(HOUR) == [f"{files[0].removeprefix(FOLDER)}: its content is not what was written"]


def test_a_file_too_many_is_found(archive: Archive, files: list[str]) -> None:
    archive.bucket.put(FOLDER + "events-x.jsonl.gz", b"", "application/gzip")
    assert archive.faults(HOUR) == ["events-x.jsonl.gz is in no manifest"]


def test_other_counts_in_mongodb_are_found(archive: Archive, files: list[str]) -> None:
    archive.database["events"].delete_one({"m": 1})
    archive.store(event_at(9, EventKind.SENT, message=9))
    faults = ["message.sent: 0 in the archive, 1 in MongoDB", "message.opened: 5 in the archive, 4 in MongoDB"]
    assert archive.faults(HOUR) == faults


def test_kinds_past_their_retention_are_not_held_against_mongodb(archive: Archive, files: list[str]) -> None:
    archive.database["events"].delete_many({})
    assert archive.faults(HOUR, kept_since=dict.fromkeys(PUBLIC_KINDS, HOUR + 1)) == []


def test_an_archive_that_mongodb_does_not_know_is_found(archive: Archive, files: list[str]) -> None:
    archive.database["archives"].delete_many({})
    assert archive.faults(HOUR) == ["MongoDB does not know that this hour is archived"]
