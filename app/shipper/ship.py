"""Cuts segments into batches, ships them until their marker is in MongoDB, then deletes the segment.

The broker may lose a message (Redis does, under `kill -9`), a worker may die: only a marker ends a batch's wait. A
batch is shipped again later and later, and only while the queue is short, so a dead worker does not fill the broker.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.errors import TransientError
from app.journal import segments
from app.lib.log import log_event
from app.shipper import cursor
from app.shipper.cursor import Pending, SegmentState

MAX_BATCH_BYTES = 1 << 20
_MAX_IN_FLIGHT = 300
"""Batches without marker at most; beyond it the journal waits on disk."""
_CONFIRM_SECONDS = 0.2
_SYNC_SECONDS = 0.1
_SHORT_QUEUE = 20
_LONGEST_WAIT_SECONDS = 300.0
_RETRY_SECONDS = 1.0

_log = logging.getLogger("telltale.shipper")


class Ship(Protocol):
    """Puts a batch on the `ingest` queue. Raises TransientError when it may not be there."""

    def __call__(self, batch_id: str, lines: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Status:
    """How far behind the shipper is."""

    behind_bytes: int
    oldest_unshipped_seconds: float
    """Age of the oldest bytes without a marker."""
    in_flight: int
    segments: int
    reshipped: int


class Shipper:
    """Args:
    journal_dir: the segments; several writers, this one reader.
    cursor_file: remembered progress.
    host: names this host's batches.
    ship: puts a batch on the queue.
    marked: which of some batches are stored.
    queue_depth: messages waiting in the ingest queue.
    """

    def __init__(
        self,
        journal_dir: Path,
        cursor_file: Path,
        *,
        host: str,
        ship: Ship,
        marked: Callable[[Sequence[str]], set[str]],
        queue_depth: Callable[[], int],
        max_records: int,
        max_wait_seconds: float,
        reship_after_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal_dir = journal_dir
        self._cursor_file = cursor_file
        self._host = host
        self._ship = ship
        self._marked = marked
        self._queue_depth = queue_depth
        self._max_records = max_records
        self._max_wait = max_wait_seconds
        self._reship_after = reship_after_seconds
        self._now = monotonic
        now = monotonic()
        self._segments: dict[str, SegmentState] = cursor.load(
            cursor_file, now=now, ship_again_at=now + reship_after_seconds
        )
        self._confirm_at = 0.0
        self._sync_at = 0.0
        self.reshipped = 0

    def step(self) -> int:
        """One turn: find segments, cut and ship what is due, confirm, sync, delete. Answers how many were cut."""
        now = self._now()
        self._discover()
        planned = self._plan(now)
        # Before anything is shipped, so that after a crash the same batches are shipped and not others.
        if planned and not cursor.save(self._cursor_file, self._segments):
            self._forget(planned)
            planned = []
        self._ship_due(now)
        if now >= self._confirm_at:
            self._confirm_at = now + _CONFIRM_SECONDS
            self._confirm()
            self._delete_finished()
        if now >= self._sync_at:
            self._sync_at = now + _SYNC_SECONDS
            self._sync()
        return len(planned)

    def status(self) -> Status:
        now = self._now()
        pending = [batch for state in self._segments.values() for batch in state.pending]
        since = [batch.seen_at for batch in pending]
        since += [state.waiting_since for state in self._segments.values() if state.waiting_since is not None]
        unread = sum(max(0, state.size - state.read_to) for state in self._segments.values())
        return Status(
            behind_bytes=unread + sum(batch.end - batch.start for batch in pending),
            oldest_unshipped_seconds=round(now - min(since), 3) if since else 0.0,
            in_flight=len(pending),
            segments=len(self._segments),
            reshipped=self.reshipped,
        )

    def _discover(self) -> None:
        found = {path.name for path in segments.list_segments(self._journal_dir)}
        for name in sorted(found - self._segments.keys()):
            self._segments[name] = SegmentState()
        for name in self._segments.keys() - found:
            del self._segments[name]

    def _plan(self, now: float) -> list[tuple[SegmentState, Pending]]:
        in_flight = sum(len(state.pending) for state in self._segments.values())
        planned: list[tuple[SegmentState, Pending]] = []
        for name, state in self._segments.items():
            path = self._journal_dir / name
            # Asked before the size is taken: what is complete now cannot grow afterwards.
            complete = segments.is_complete(path)
            state.size = _size(path)
            while state.size > state.read_to and in_flight + len(planned) < _MAX_IN_FLIGHT:
                if state.waiting_since is None:
                    state.waiting_since = now
                due = complete or now - state.waiting_since >= self._max_wait
                end = _cut(path, state.read_to, self._max_records, due=due, complete=complete)
                if end <= state.read_to:
                    break
                batch = Pending(state.read_to, end, now, state.waiting_since)
                state.pending.append(batch)
                planned.append((state, batch))
                state.read_to = end
                state.waiting_since = None
        return planned

    @staticmethod
    def _forget(planned: list[tuple[SegmentState, Pending]]) -> None:
        """The plan could not be written down: nothing of it is shipped, and its lines are planned again."""
        for state, batch in reversed(planned):
            state.pending.remove(batch)
            state.read_to = batch.start
            state.waiting_since = batch.seen_at

    def _ship_due(self, now: float) -> None:
        due = [
            (name, batch) for name, state in self._segments.items() for batch in state.pending if batch.ship_at <= now
        ]
        again = [batch for _, batch in due if batch.tries]
        try:
            if again and self._queue_depth() > _SHORT_QUEUE:
                # They are most likely waiting in there; look again in a while.
                for batch in again:
                    batch.ship_at = now + self._reship_after
                due = [(name, batch) for name, batch in due if not batch.tries]
            for name, batch in due:
                self._ship(self._id(name, batch), _read(self._journal_dir / name, batch.start, batch.end))
                self.reshipped += 1 if batch.tries else 0
                wait = min(self._reship_after * 2.0**batch.tries, _LONGEST_WAIT_SECONDS)
                batch.tries = min(batch.tries + 1, 16)
                batch.ship_at = now + wait
        except TransientError as error:
            # Nothing is lost: the journal has it. Everything that is due waits a moment.
            log_event(_log, logging.WARNING, "ship_failed", error=type(error).__name__, waiting=len(due))
            for _, batch in due:
                batch.ship_at = max(batch.ship_at, now + _RETRY_SECONDS)

    def _confirm(self) -> None:
        waiting = {self._id(name, batch) for name, state in self._segments.items() for batch in state.pending}
        if not waiting:
            return
        try:
            stored = self._marked(sorted(waiting))
        except TransientError as error:
            log_event(_log, logging.WARNING, "confirm_failed", error=type(error).__name__)
            return
        if stored:
            for name, state in self._segments.items():
                state.pending = [batch for batch in state.pending if self._id(name, batch) not in stored]
            cursor.save(self._cursor_file, self._segments)

    def _delete_finished(self) -> None:
        for name, state in list(self._segments.items()):
            path = self._journal_dir / name
            if not state.pending and segments.is_complete(path) and _size(path) <= state.read_to:
                path.unlink(missing_ok=True)
                del self._segments[name]

    def _sync(self) -> None:
        for name, state in self._segments.items():
            if state.size > state.synced_to:
                size = state.size
                try:
                    descriptor = os.open(self._journal_dir / name, os.O_RDONLY)
                except FileNotFoundError:
                    continue
                try:
                    os.fdatasync(descriptor)
                finally:
                    os.close(descriptor)
                state.synced_to = size

    def _id(self, name: str, batch: Pending) -> str:
        return f"{self._host}:{name.removesuffix(segments.SUFFIX)}:{batch.start}-{batch.end}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read(path: Path, start: int, end: int) -> bytes:
    with path.open("rb") as segment:
        segment.seek(start)
        return segment.read(end - start)


def _cut(path: Path, start: int, max_records: int, *, due: bool, complete: bool) -> int:
    """Where the next batch ends: after `max_records` lines or `MAX_BATCH_BYTES`, sooner only when it is due.

    A torn last line waits until its segment is complete, and is then shipped as it is: ingest sets it aside.
    """
    data = _read(path, start, start + MAX_BATCH_BYTES)
    position, records = -1, 0
    while records < max_records:
        following = data.find(b"\n", position + 1)
        if following < 0:
            break
        position, records = following, records + 1
    full = records == max_records or len(data) == MAX_BATCH_BYTES
    if full:
        return start + (position + 1 if records else len(data))
    if complete:
        return start + len(data)
    return start + position + 1 if due and records else start
