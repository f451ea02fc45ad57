"""Which rows of a batching endpoint are claimed together and joined: plain functions over documents of `deliveries`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.lib.batch_ids import smaller_batch_id
from app.models.delivery import Batching
from app.storage.client import Document

_ENVELOPE_BYTES = 256
_PER_EVENT_BYTES = 1
"""The comma between two."""


def choose(found: Sequence[Document], now: datetime, batching: Batching) -> list[Document]:
    """Which of the waiting rows to claim now: all that are due; those that wait for others to come join them, or go
    alone when they fill a batch.

    Args:
        found: rows by due time, with `n` and `frozen`; those that failed before wait for their time.
    """
    due = [row for row in found if row["due_at"] <= now]
    early = [row for row in found if row["due_at"] > now and not row.get("frozen")]
    if due:
        return due + early
    total = chosen = 0
    for place, row in enumerate(early, 1):
        total += row.get("n", 1)
        if total % batching.max_events == 0 or total >= batching.max_events:
            chosen = place
    return early[:chosen]


def merges(rows: Sequence[Document], batching: Batching) -> list[tuple[Document, list[Document]]]:
    """(row, rows that it takes in), so that no batch exceeds the endpoint's limits."""
    taken_in: list[tuple[Document, list[Document]]] = []
    head: Document | None = None
    events = size = 0
    for row in rows:
        count, extra = len(row["items"]), _size(row)
        if head is not None and events + count <= batching.max_events and size + extra <= batching.max_bytes:
            taken_in[-1][1].append(row)
            events, size = events + count, size + extra
            continue
        head, events, size = row, count, extra + _ENVELOPE_BYTES
        taken_in.append((row, []))
    return [(head, others) for head, others in taken_in if others]


def without_erased(row: Document, left: int) -> Document:
    """A row as it is sent when some of its events cannot be opened any more: under another id, because its bytes are
    others than before."""
    if "items" not in row or len(row["items"]) == left:
        return row
    return {**row, "batch": smaller_batch_id(row["batch"], left)}


def _size(row: Document) -> int:
    # What is sealed is a little longer than what is sent.
    return sum(len(item["s"]) + _PER_EVENT_BYTES for item in row["items"])
