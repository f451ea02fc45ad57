"""Writes records to this process's own segment: one `write()` per record, before the hit is answered.

A process makes its writer after any fork. What the kernel took survives `kill -9` of the process; the shipper
syncs to disk every 100 ms, so a power cut loses that much at most.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from app.journal import segments
from app.models import record_line as lines
from app.models.record import HitKind, Record

_SPACE_CHECK_SECONDS = 1.0


class JournalWriter:
    """Args:
    folder: the journal folder; made when missing.
    max_bytes: a segment is closed at this size,
    max_seconds: or at this age, when the next record arrives.
    low_bytes: with less free space than this opens and looks at the unsubscribe page are dropped, so that clicks
        and unsubscribes still fit.
    """

    def __init__(self, folder: Path, *, max_bytes: int, max_seconds: float, low_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._low_bytes = low_bytes
        self._descriptor = -1
        self._written = 0
        self._close_at = 0.0
        self._torn = False
        self._space_low = False
        self._space_checked_at = 0.0
        self.dropped = 0
        """Records that are in no journal: opens dropped for want of space, and failed writes."""

    def append(self, record: Record) -> bool:
        """Write a record; False when it was dropped or the disk refused it (then `dropped` has counted it)."""
        now = time.monotonic()
        if now - self._space_checked_at > _SPACE_CHECK_SECONDS:
            self._check_space(now)
        if self._space_low and _is_spared(record):
            self.dropped += 1
            return False
        line = lines.encode(record)
        if self._torn:
            # The last write stopped half-way: end its line, so that only that record is unreadable.
            line = b"\n" + line
        try:
            if self._descriptor < 0 or self._written >= self._max_bytes or now >= self._close_at:
                self._open(now)
            written = os.write(self._descriptor, line)
        except OSError:
            self.dropped += 1
            return False
        self._written += written
        self._torn = written < len(line)
        if self._torn:
            self.dropped += 1
        return not self._torn

    def close(self) -> None:
        """Let go of the segment; the shipper may then finish it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self, now: float) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = segments.new_name()
        hidden = self._folder / f".{name}.new"
        descriptor = os.open(hidden, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            hidden.rename(self._folder / name)
        except OSError:
            os.close(descriptor)
            raise
        self.close()
        self._descriptor, self._written, self._torn = descriptor, 0, False
        self._close_at = now + self._max_seconds

    def _check_space(self, now: float) -> None:
        self._space_checked_at = now
        try:
            self._space_low = free_bytes(self._folder) < self._low_bytes
        except OSError:
            self._space_low = False  # the folder is made with the first segment


def _is_spared(record: Record) -> bool:
    """Opens, and looks at the unsubscribe page, which are evidence only."""
    return record.kind is HitKind.OPEN or (record.kind is HitKind.UNSUBSCRIBE and record.method != "POST")


def free_bytes(folder: Path) -> int:
    """What an ordinary process may still write on the folder's disk."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
