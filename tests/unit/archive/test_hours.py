"""Hours and their folders."""

from __future__ import annotations

import pytest

from app.archive.hours import (
    HOUR_MS,
    MANIFEST,
    hour_folder,
    hour_of,
    hour_of_manifest,
    hour_text,
    hours_between,
    settled_before,
)
from tests.unit.archive.archived_events import HOUR

FOLDER = "events/brand=alder/dt=2026-01-01/hour=13/"


def test_an_hour_is_named_by_its_start_in_utc() -> None:
    assert hour_text(HOUR) == "2026-01-01T13"
    assert hour_folder("events/", "alder", HOUR) == FOLDER


def test_a_moment_is_in_the_hour_that_began_last() -> None:
    assert {hour_of(HOUR), hour_of(HOUR + HOUR_MS - 1)} == {HOUR}
    assert list(hours_between(HOUR + 5, HOUR + HOUR_MS + 1)) == [HOUR, HOUR + HOUR_MS]


def test_an_hour_is_settled_ten_minutes_after_its_end() -> None:
    assert settled_before(HOUR + HOUR_MS + 600_000) == HOUR + HOUR_MS
    assert settled_before(HOUR + HOUR_MS + 599_999) == HOUR


def test_the_hour_of_a_manifest_is_read_from_its_key() -> None:
    assert hour_of_manifest("events/", "alder", FOLDER + MANIFEST) == HOUR


@pytest.mark.parametrize(
    "key",
    [
        FOLDER + "events-00000-a.jsonl.gz",
        FOLDER.replace("alder", "birch") + MANIFEST,
        FOLDER.replace("=13", "=25") + MANIFEST,
        FOLDER.replace("01-01", "13-01") + MANIFEST,
        FOLDER + "more/" + MANIFEST,
        MANIFEST,
    ],
)
def test_other_keys_are_no_manifest(key: str) -> None:
    assert hour_of_manifest("events/", "alder", key) is None
