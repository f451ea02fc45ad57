"""Which hours of a brand are to be archived: from the first with events to the last that is settled."""

from __future__ import annotations

from collections.abc import Iterator

from app.archive.hours import hour_of, hours_between, settled_before
from app.archive.ports import Events, State


def due_hours(brand_id: str, events: Events, state: State, now_ms: int) -> Iterator[int]:
    """Hours that are settled and not archived, oldest first. An hour in which nothing happened is one too: its manifest
    says so.

    Raises:
        StoreUnavailable
    """
    first, until = events.first_recorded_ms(brand_id), settled_before(now_ms)
    if first is None:
        return
    done = {archived.hour for archived in state.archived(brand_id, hour_of(first), until)}
    yield from (hour for hour in hours_between(first, until) if hour not in done)
