"""Counts what each side of `benchmarks.front` has recorded, and throws it away: disk and memory stay bounded."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path
from typing import Protocol

import redis

from app.journal.segments import is_complete, list_segments
from app.models import record_line
from app.models.record import HitKind

_QUEUE = "celery"


class Records(Protocol):
    def take(self, kind: HitKind) -> int:
        """How many hits were recorded since the last call."""
        ...


class JournalRecords:
    """Our side's, read line by line. Complete segments are deleted.

    Args:
        codes: the only ones that may stand in the journal.
    """

    def __init__(self, folder: Path, codes: Set[str]) -> None:
        self._folder = folder
        self._codes = codes
        self._read: dict[Path, int] = {}

    def take(self, kind: HitKind) -> int:
        """How many hits were recorded since the last call.

        Raises:
            SystemExit: a record of another kind or code, or an id that is there twice.
        """
        known: set[bytes] = set()
        found = 0
        for segment in list_segments(self._folder):
            complete = is_complete(segment)  # asked before it is read: nothing can follow then
            with segment.open("rb") as stream:
                stream.seek(self._read.get(segment, 0))
                for line in stream:
                    record = record_line.decode(line)
                    if record.kind is not kind or record.code not in self._codes:
                        raise SystemExit("the journal holds a record that nobody asked for")
                    known.add(record.id)
                    found += 1
                self._read[segment] = stream.tell()
            if complete:
                segment.unlink()
        if len(known) != found:
            raise SystemExit("two records in the journal have one id")
        return found


class QueueRecords:
    """The plain side's: tasks in Celery's queue. What else Celery keeps in the broker is left alone."""

    def __init__(self, broker_url: str) -> None:
        self._broker = redis.Redis.from_url(broker_url)
        # Whether the server rewrites its log at the moment must not depend on the round.
        self._broker.config_set("auto-aof-rewrite-percentage", 0)

    def take(self, kind: HitKind) -> int:
        with self._broker.pipeline() as pipe:
            pipe.llen(_QUEUE)
            pipe.unlink(_QUEUE)
            found: list[int] = pipe.execute()
        return found[0]
