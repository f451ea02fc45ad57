"""Writing an hour on real stores: what is in the bucket is what MongoDB counts, whatever stops a run."""

from __future__ import annotations

import gzip
from typing import Any

import orjson
import pytest

from app.archive.hours import HOUR_MS, hour_folder
from app.archive.write import HourChanged, Outcome
from app.lib import clock
from app.models.event import Event, EventKind
from tests.integration.archive.conftest import Archive
from tests.unit.archive.archived_events import HOUR, event_at

FOLDER = hour_folder("telltale/", "alder", HOUR)
MANIFEST = FOLDER + "_manifest.json"


def an_hour(archive: Archive) -> list[Event]:
    """Seven events of the hour, and others around it that are not of it."""
    around = [
        event_at(-1, message=1),
        event_at(HOUR_MS, message=2),
        event_at(5, message=3, brand_id="birch"),
        event_at(6, EventKind.VIEWED, message=3),
        event_at(7, message=4, implied=True),
    ]
    within = [
        event_at(0, EventKind.SENT, message=10),
        *(event_at(1000, message=11 + number) for number in range(4)),
        event_at(2000, EventKind.CLICKED, message=11),
        # Happened the hour before and was recorded at the end of this one.
        event_at(-500, message=20, recorded_ms=HOUR + HOUR_MS - 1),
    ]
    archive.store(*around, *within)
    return sorted(within, key=lambda event: (event.recorded_ms, event.id))


def lines(archive: Archive) -> list[dict[str, Any]]:
    manifest = orjson.loads(archive.objects()[MANIFEST])
    content = b"".join(gzip.decompress(archive.objects()[FOLDER + file["name"]]) for file in manifest["files"])
    return [orjson.loads(line) for line in content.splitlines()]


def test_an_hour_is_files_and_a_manifest_whose_counts_are_mongodbs(archive: Archive) -> None:
    events = an_hour(archive)
    assert archive.writer(max_events=3).write(HOUR) is Outcome.WRITTEN
    manifest = orjson.loads(archive.objects()[MANIFEST])
    assert manifest["counts"] == {"message.sent": 1, "message.opened": 5, "message.clicked": 1}
    assert [file["events"] for file in manifest["files"]] == [3, 3, 1]
    assert [line["recorded_at"] for line in lines(archive)] == [
        clock.rfc3339(clock.from_ms(event.recorded_ms)) for event in events
    ]
    assert set(archive.objects()) == {MANIFEST, *(FOLDER + file["name"] for file in manifest["files"])}
    assert archive.faults(HOUR) == []


def test_again_gives_the_same_names_and_bytes(archive: Archive) -> None:
    an_hour(archive)
    archive.writer(max_events=3).write(HOUR)
    before = archive.objects()
    assert archive.writer(max_events=3).write(HOUR) is Outcome.WRITTEN
    assert archive.objects() == before


def test_an_hour_without_events_has_a_manifest_that_says_so(archive: Archive) -> None:
    assert archive.writer().write(HOUR) is Outcome.WRITTEN
    (content,) = archive.objects().values()
    assert (orjson.loads(content)["events"], orjson.loads(content)["files"]) == (0, [])
    assert archive.faults(HOUR) == []


def test_a_run_whose_time_is_up_goes_on_behind_its_last_file(archive: Archive) -> None:
    an_hour(archive)
    outcomes = [archive.writer(max_events=3).write(HOUR, until=0) for _ in range(3)]
    assert outcomes == [Outcome.MORE] * 3
    assert MANIFEST not in archive.objects()
    assert archive.writer(max_events=3).write(HOUR, until=0) is Outcome.WRITTEN
    interrupted = archive.objects()
    archive.writer(max_events=3).write(HOUR)
    assert archive.objects() == interrupted


class Killed(BaseException):
    """As `kill -9`: nothing after it happens, not even what `finally` says."""


class Mortal:
    """A part of a process that is killed when all its parts together were called so many times."""

    def __init__(self, part: Any, life: list[int]) -> None:
        self._part = part
        self._life = life

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            if self._life[0] == 0:
                raise Killed
            answer = getattr(self._part, name)(*args, **options)
            self._life[0] -= 1
            if self._life[0] == 0:
                raise Killed
            return answer

        return call


def test_killed_after_any_call_the_next_run_completes_the_same_hour(archive: Archive) -> None:
    an_hour(archive)
    archive.writer(max_events=4).write(HOUR)
    whole = archive.objects()
    for calls in range(1, 100):
        for key in whole:
            archive.bucket.delete(key)
        archive.database["archives"].delete_many({})
        life = [calls]
        parts = {name: Mortal(getattr(archive, name), life) for name in ("bucket", "events", "state")}
        try:
            archive.writer(max_events=4, **parts).write(HOUR)
        except Killed:
            there = {key for key, _ in archive.bucket.sizes("")}
            assert MANIFEST not in there or there == whole.keys(), "a manifest is never there before its files"
            archive.claims_run_out()
            assert archive.writer(max_events=4).write(HOUR) is Outcome.WRITTEN
        else:
            break
        assert archive.objects() == whole
        assert archive.state.of_hour("alder", HOUR) is not None
    assert calls > 15, "not every call was a last one"


def test_while_one_run_works_on_an_hour_another_leaves_it_alone(archive: Archive) -> None:
    an_hour(archive)
    token = archive.state.claim("alder", HOUR, clock.now())
    assert token is not None
    assert archive.writer().write(HOUR) is Outcome.BUSY
    assert archive.objects() == {}
    archive.state.release("alder", HOUR, token)
    assert archive.writer().write(HOUR) is Outcome.WRITTEN


class Overtaken:
    """A bucket on whose first write another run takes the hour over and completes it, from events that have changed."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._first = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._archive.bucket, name)

    def put(self, key: str, content: bytes, content_type: str) -> None:
        if self._first:
            self._first = False
            self._archive.claims_run_out()
            self._archive.database["events"].update_many({}, {"$set": {"q": "lead=2"}})
            assert self._archive.writer(max_events=3).write(HOUR) is Outcome.WRITTEN
        self._archive.bucket.put(key, content, content_type)


def test_a_run_that_was_overtaken_replaces_nothing(archive: Archive) -> None:
    an_hour(archive)
    with pytest.raises(HourChanged):
        archive.writer(max_events=3, bucket=Overtaken(archive)).write(HOUR)
    assert all(line["query"] == "lead=2" for line in lines(archive))
    # All it leaves is a file beside the others, which the next run takes away.
    (fault,) = archive.faults(HOUR)
    assert fault.endswith("is in no manifest")
    archive.writer(max_events=3).write(HOUR)
    assert archive.faults(HOUR) == []


def test_what_an_erasure_took_away_is_not_in_later_files(archive: Archive) -> None:
    events = [event_at(number, message=number, client="192.0.2.0/24", query="lead=7") for number in range(1, 7)]
    archive.store(*events)
    assert archive.writer(max_events=3).write(HOUR, until=0) is Outcome.MORE
    archive.database["events"].update_many({"m": {"$gte": 4}}, {"$unset": {"ip": "", "q": ""}})
    archive.writer(max_events=3).write(HOUR)
    assert [line.get("query") for line in lines(archive)] == ["lead=7"] * 3 + [None] * 3
    # Writing the hour again takes it out of the earlier ones too.
    archive.database["events"].update_many({}, {"$unset": {"ip": "", "q": ""}})
    archive.writer(max_events=3).write(HOUR)
    assert not any(b"lead=7" in gzip.decompress(raw) for key, raw in archive.objects().items() if key != MANIFEST)
    assert archive.faults(HOUR) == []


def test_an_hour_that_changes_while_it_is_written_gets_no_manifest_and_is_begun_anew(archive: Archive) -> None:
    an_hour(archive)
    archive.writer(max_events=3).write(HOUR, until=0)
    archive.store(event_at(1, message=99))
    with pytest.raises(HourChanged):
        archive.writer(max_events=3).write(HOUR)
    assert MANIFEST not in archive.objects()
    assert archive.writer(max_events=3).write(HOUR) is Outcome.WRITTEN
    assert archive.faults(HOUR) == []


def test_a_file_that_somebody_took_away_meanwhile_is_written_again(archive: Archive) -> None:
    an_hour(archive)
    archive.writer(max_events=3).write(HOUR, until=0)
    (key,) = archive.objects()
    archive.bucket.delete(key)
    assert archive.writer(max_events=3).write(HOUR) is Outcome.WRITTEN
    assert archive.faults(HOUR) == []


def test_what_mongodb_has_no_more_is_never_overwritten(archive: Archive) -> None:
    an_hour(archive)
    archive.writer(max_events=3).write(HOUR)
    before = archive.objects()
    # Retention, or a database that was lost with all it knew of the archive.
    archive.database["events"].delete_many({"k": 3})
    archive.database["archives"].delete_many({})
    assert archive.writer(max_events=3).write(HOUR) is Outcome.KEPT
    assert archive.objects() == before
    assert [hour.events for hour in archive.state.archived("alder", HOUR, HOUR + HOUR_MS)] == [7]
