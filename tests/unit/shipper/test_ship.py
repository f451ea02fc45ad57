"""The shipper against real segment files: every line is shipped until it is marked, and only then deleted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.errors import BrokerUnavailable, StoreUnavailable
from app.journal import segments
from app.journal.writer import JournalWriter
from app.models.record import HitKind, Record
from app.shipper.ship import MAX_BATCH_BYTES, Shipper


class World:
    """The broker and MongoDB as the shipper meets them, and a clock that only the test moves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shipped: list[tuple[str, bytes]] = []
        self.stored: set[str] = set()
        self.depth = 0
        self.broker_down = False
        self.store_down = False
        self.now = 100.0

    def ship(self, batch_id: str, lines: bytes) -> None:
        if self.broker_down:
            raise BrokerUnavailable("down")
        self.shipped.append((batch_id, lines))

    def marked(self, batch_ids: Sequence[str]) -> set[str]:
        if self.store_down:
            raise StoreUnavailable("down")
        return self.stored & set(batch_ids)

    def store_all(self) -> None:
        self.stored |= {batch_id for batch_id, _ in self.shipped}

    def shipper(self, **settings: float) -> Shipper:
        (self.folder / "shipper").mkdir(exist_ok=True)
        return Shipper(
            self.folder / "journal",
            self.folder / "shipper" / "cursor.json",
            host="host-1",
            ship=self.ship,
            marked=self.marked,
            queue_depth=lambda: self.depth,
            max_records=int(settings.get("max_records", 10)),
            max_wait_seconds=0.1,
            reship_after_seconds=5.0,
            monotonic=lambda: self.now,
        )

    def turn(self, shipper: Shipper, seconds: float = 0.3) -> None:
        self.now += seconds
        shipper.step()

    def codes(self) -> list[str]:
        """What was shipped, in order, each line once per shipping."""
        return [line.split(b'"c":"')[1].split(b'"')[0].decode() for _, lines in self.shipped for line in lines.split()]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def write(world: World, *codes: str, keep_open: bool = False) -> JournalWriter:
    writer = JournalWriter(world.folder / "journal", max_bytes=1 << 30, max_seconds=3600.0, low_bytes=0)
    for code in codes:
        writer.append(Record(1, "0" * 32, HitKind.OPEN, 5, "h", code, "GET"))
    if not keep_open:
        writer.close()
    return writer


def test_lines_are_shipped_in_batches_and_the_segment_goes_when_all_are_marked(world: World) -> None:
    write(world, *[f"n{number}" for number in range(25)])
    shipper = world.shipper()
    world.turn(shipper)
    assert [len(lines.split()) for _, lines in world.shipped] == [10, 10, 5]
    assert world.codes() == [f"n{number}" for number in range(25)]
    assert shipper.status().in_flight == 3
    world.store_all()
    world.turn(shipper)
    assert segments.list_segments(world.folder / "journal") == []
    assert shipper.status().behind_bytes == 0


def test_a_segment_that_is_still_written_is_read_as_it_grows_and_kept(world: World) -> None:
    writer = write(world, "a", "b", keep_open=True)
    shipper = world.shipper()
    world.turn(shipper)
    assert world.codes() == [], "younger than the longest wait, fewer than a batch"
    world.turn(shipper)
    assert world.codes() == ["a", "b"]
    world.store_all()
    writer.append(Record(1, "0" * 32, HitKind.OPEN, 5, "h", "c", "GET"))
    world.turn(shipper)
    world.turn(shipper)
    assert world.codes() == ["a", "b", "c"]
    assert len(segments.list_segments(world.folder / "journal")) == 1
    writer.close()


def test_a_batch_whose_marker_does_not_appear_is_shipped_again_under_its_id(world: World) -> None:
    write(world, "a")
    shipper = world.shipper()
    world.turn(shipper)
    world.turn(shipper, 4.0)
    assert len(world.shipped) == 1
    world.turn(shipper, 2.0)
    assert world.shipped[0] == world.shipped[1]
    for _ in range(200):
        world.turn(shipper, 10.0)
    assert 8 < len(world.shipped) < 30, "again and again, later and later, at least every five minutes"
    assert shipper.reshipped == len(world.shipped) - 1
    world.store_all()
    world.turn(shipper)
    assert segments.list_segments(world.folder / "journal") == []


def test_nothing_is_shipped_again_into_a_long_queue(world: World) -> None:
    write(world, "a")
    shipper = world.shipper()
    world.turn(shipper)
    world.depth = 1000
    for _ in range(20):
        world.turn(shipper, 10.0)
    assert len(world.shipped) == 1
    world.depth = 0
    world.turn(shipper, 10.0)
    assert len(world.shipped) == 2


def test_a_new_shipper_goes_on_with_the_same_batches(world: World) -> None:
    write(world, *"abc")
    world.turn(world.shipper(max_records=2))
    assert len(world.shipped) == 2
    world.store_all()
    again = world.shipper(max_records=1)
    world.turn(again)
    assert len(world.shipped) == 2
    assert segments.list_segments(world.folder / "journal") == []


def test_a_shipper_killed_before_it_shipped_ships_the_planned_batch(world: World) -> None:
    write(world, "a")
    world.broker_down = True
    world.turn(world.shipper())
    world.broker_down = False
    again = world.shipper()
    world.turn(again)
    world.turn(again, 6.0)
    assert world.codes() == ["a"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"x": 1}', b'{"x": {"read_to": "?", "pending": []}}', b"\xff"])
def test_an_unreadable_cursor_costs_only_repeated_work(world: World, content: bytes) -> None:
    write(world, "a")
    world.shipper()
    (world.folder / "shipper" / "cursor.json").write_bytes(content)
    world.turn(world.shipper())
    assert world.codes() == ["a"]


def test_nothing_is_shipped_that_is_not_written_down_first(world: World) -> None:
    write(world, *"abc")
    shipper = world.shipper(max_records=2)
    cursor = world.folder / "shipper" / "cursor.json"
    cursor.with_suffix(".new").mkdir()  # what a disk does that takes nothing any more
    world.turn(shipper)
    assert world.shipped == []
    assert shipper.status().behind_bytes > 0
    cursor.with_suffix(".new").rmdir()
    world.turn(shipper)
    assert world.codes() == ["a", "b", "c"]
    again = json.loads(cursor.read_text())
    assert [len(state["pending"]) for state in again.values()] == [2]


def test_while_the_broker_is_down_the_journal_waits(world: World) -> None:
    write(world, "a")
    world.broker_down = True
    shipper = world.shipper()
    for _ in range(10):
        world.turn(shipper)
    assert shipper.status().behind_bytes > 0
    assert shipper.status().oldest_unshipped_seconds > 2
    world.broker_down = False
    world.turn(shipper, 2.0)
    assert world.codes() == ["a"]


def test_while_mongodb_is_down_no_segment_is_deleted(world: World) -> None:
    write(world, "a")
    shipper = world.shipper()
    world.turn(shipper)
    world.store_all()
    world.store_down = True
    world.turn(shipper)
    assert len(segments.list_segments(world.folder / "journal")) == 1
    world.store_down = False
    world.turn(shipper)
    assert segments.list_segments(world.folder / "journal") == []


def test_a_torn_last_line_waits_until_its_writer_is_gone(world: World) -> None:
    writer = write(world, "a", keep_open=True)
    (segment,) = segments.list_segments(world.folder / "journal")
    with segment.open("ab") as half:
        half.write(b'{"v":1,"i":"to')
    shipper = world.shipper()
    world.turn(shipper)
    world.turn(shipper)
    assert world.codes() == ["a"]
    writer.close()
    world.turn(shipper)
    assert world.shipped[-1][1] == b'{"v":1,"i":"to', "shipped as it is: ingest sets it aside"
    world.store_all()
    world.turn(shipper)
    assert segments.list_segments(world.folder / "journal") == []


def test_a_line_without_end_is_shipped_in_pieces_and_stops_nothing(world: World) -> None:
    folder = world.folder / "journal"
    folder.mkdir()
    (folder / segments.new_name()).write_bytes(b"x" * (MAX_BATCH_BYTES + 10) + b"\n")
    shipper = world.shipper()
    world.turn(shipper)
    assert sum(len(lines) for _, lines in world.shipped) == MAX_BATCH_BYTES + 11


def test_only_so_many_batches_wait_for_their_marker(world: World) -> None:
    write(world, *[f"n{number}" for number in range(400)])
    shipper = world.shipper(max_records=1)
    for _ in range(5):
        world.turn(shipper)
    assert len(world.shipped) == 300
    world.store_all()
    world.turn(shipper)
    world.turn(shipper)
    assert len(world.shipped) == 400
