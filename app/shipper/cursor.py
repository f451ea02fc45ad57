"""What the shipper remembers between starts: how far each segment is read and which batches wait for their marker.

On disk before any of its batches is shipped: a batch that was stored but not yet counted must come again with the
same lines, because its events are counted under its id. Without this file the segments are read again from the start
and cut differently: every event is still stored once, but one whose batch was killed between storing and counting
would stay uncounted.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

from app.lib.log import log_event

_log = logging.getLogger("telltale.shipper")


@dataclass(slots=True)
class Pending:
    """A batch on its way: bytes `start:end` of a segment."""

    start: int
    end: int
    ship_at: float
    """When to hand it to the broker (again); monotonic seconds."""
    seen_at: float
    """When its first byte was read; monotonic seconds."""
    tries: int = 0


@dataclass(slots=True)
class SegmentState:
    read_to: int = 0
    pending: list[Pending] = field(default_factory=list)
    waiting_since: float | None = None
    """Since when there are bytes after `read_to`; monotonic seconds."""
    synced_to: int = 0
    size: int = 0


def load(path: Path, *, now: float, ship_again_at: float) -> dict[str, SegmentState]:
    """The remembered segments; none when the file is missing or cannot be read."""
    try:
        remembered = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: SegmentState(
                read_to=int(state["read_to"]),
                pending=[Pending(int(start), int(end), ship_again_at, now) for start, end in state["pending"]],
            )
            for name, state in remembered.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log_event(_log, logging.ERROR, "cursor_unreadable", error=type(error).__name__)
        return {}


def save(path: Path, segments: dict[str, SegmentState]) -> bool:
    """Write the cursor in one step and sync it; False when the disk refused, and the old one still stands."""
    text = json.dumps(
        {
            name: {"read_to": state.read_to, "pending": [[batch.start, batch.end] for batch in state.pending]}
            for name, state in segments.items()
        }
    )
    temporary = path.with_suffix(".new")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        log_event(_log, logging.WARNING, "cursor_not_saved", error=type(error).__name__)
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """A renamed file survives a power cut only when its folder is synced too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
