"""A manifest comes back as it was, and one that is wrong is refused."""

from __future__ import annotations

import orjson
import pytest

from app.archive.lines import UnreadableArchive
from app.archive.manifest import decode, encode
from app.models.archive import ArchivedFile, Manifest
from app.models.event import EventKind
from tests.unit.archive.archived_events import HOUR

FILE = ArchivedFile("events-00000-ab.jsonl.gz", 3, 120, "ab" * 32, "evt_1", "evt_3")
MANIFEST = Manifest("alder", HOUR, {EventKind.OPENED: 2, EventKind.CLICKED: 1}, (FILE,))


def test_a_manifest_comes_back() -> None:
    assert decode(encode(MANIFEST), "alder", HOUR) == MANIFEST
    empty = Manifest("alder", HOUR, {}, ())
    assert decode(encode(empty), "alder", HOUR) == empty


def test_it_says_what_the_hour_consists_of() -> None:
    shown = orjson.loads(encode(MANIFEST))
    assert shown["counts"] == {"message.opened": 2, "message.clicked": 1}
    assert (shown["events"], shown["first_id"], shown["last_id"]) == (3, "evt_1", "evt_3")
    assert (shown["recorded_from"], shown["recorded_before"]) == (
        "2026-01-01T13:00:00.000Z",
        "2026-01-01T14:00:00.000Z",
    )


def test_the_order_of_counting_does_not_change_the_bytes() -> None:
    turned = Manifest("alder", HOUR, {EventKind.CLICKED: 1, EventKind.OPENED: 2, EventKind.SENT: 0}, (FILE,))
    assert encode(turned) == encode(MANIFEST)


@pytest.mark.parametrize(
    "change",
    [
        {"brand_id": "birch"},
        {"hour": "2026-01-01T14"},
        {"version": 2},
        {"counts": {"message.opened": 4}},
        {"counts": {"message.viewed": 3}},
        {"files": [{"name": "x"}]},
        {"files": "none"},
        {"files": [{**orjson.loads(encode(MANIFEST))["files"][0], "name": "../../birch/x"}]},
    ],
)
def test_a_manifest_that_is_wrong_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UnreadableArchive):
        decode(orjson.dumps(orjson.loads(encode(MANIFEST)) | change), "alder", HOUR)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(UnreadableArchive):
        decode(b"<html>", "alder", HOUR)
