"""What the shipper remembers between starts: how far each segment is read and which batches wait for their marker.

Losing this file is harmless: the segments are read again from the start, cut differently, and events are told apart
by their ids. It only saves that work, so it is written without syncing.
"""

from __future__ import annotations

import json
import logging
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
        log_event(_log, logging.WARNING, "cursor_unreadable", error=type(error).__name__)
        return {}


def save(path: Path, segments: dict[str, SegmentState]) -> None:
    """Write the cursor in one step; a full disk is logged and costs only repeated work."""
    text = json.dumps(
        {
            name: {"read_to": state.read_to, "pending": [[batch.start, batch.end] for batch in state.pending]}
            for name, state in segments.items()
        }
    )
    temporary = path.with_suffix(".new")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        log_event(_log, logging.WARNING, "cursor_not_saved", error=type(error).__name__)
