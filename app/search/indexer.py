"""Brings a brand's events from MongoDB into the index, in the order they were recorded, and goes on where it was.

The cursor moves when OpenSearch has confirmed, never before: after an outage the next run goes on there. An event that
is corrected later is not looked for: its correction is an event too, behind the cursor, and brings it along again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

from app.brands.brand import Brand
from app.lib import clock, ids
from app.lib.log import ERROR, log_event
from app.models.event import PUBLIC_KINDS, Event, EventKind
from app.models.search import MOST_EXPIRED, SETTLE_MS, References, SearchPlace, SearchState
from app.search.busy import SearchBusy
from app.search.kept import kept_since

if TYPE_CHECKING:  # loads the client of OpenSearch: not for those who only ask whether there is an index
    from app.search.event_index import EventIndex

_log = logging.getLogger(__name__)

BATCH = 1_000
LEAST_BATCH = 50
LEASE_SECONDS = 180.0
"""More than a run: its time, and one request to each store at its end."""
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 8.0
_EXPIRE_EVERY = timedelta(hours=1)


class Pages(Protocol):
    def page(self, brand_id: str, *, after: SearchPlace | None, before_ms: int, limit: int) -> list[Event]: ...


class Stored(Protocol):
    def by_ids(self, brand_id: str, event_ids: Sequence[bytes]) -> dict[bytes, Event]: ...
    def references(self, blocks: Collection[int]) -> dict[int, References]: ...


class States(Protocol):
    def claim(self, brand_id: str, now: datetime, seconds: float) -> SearchState | None: ...
    def begin(self, brand_id: str, run: int, generation: str) -> bool: ...
    def advance(self, brand_id: str, run: int, after: SearchPlace | None, until_ms: int) -> bool: ...
    def expired(self, brand_id: str, run: int, at: datetime) -> bool: ...
    def release(self, brand_id: str, run: int) -> None: ...


class Indexed(NamedTuple):
    """What a run did."""

    events: int
    until_ms: int
    """Everything recorded before this is found."""
    complete: bool
    """Nothing was left to do when it ended."""


class Indexer:
    """Args:
    pause: waits for so many seconds.
    """

    def __init__(
        self,
        *,
        events: Pages,
        stored: Stored,
        states: States,
        index: EventIndex,
        batch: int = BATCH,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._events = events
        self._stored = stored
        self._states = states
        self._index = index
        self._batch = batch
        self._pause = pause

    def run(self, brand: Brand, *, seconds: float) -> Indexed | None:
        """Index what a brand has recorded; ends after `seconds`, or when nothing is left. None when another run works
        for the brand just now.

        Raises:
            StoreUnavailable: MongoDB or OpenSearch does not answer; what was confirmed is noted.
        """
        state = self._states.claim(brand.id, clock.now(), LEASE_SECONDS)
        if state is None:
            return None
        try:
            return self._run(brand, state, time.monotonic() + seconds)
        finally:
            self._states.release(brand.id, state.run)

    def count(self, brand_id: str) -> int:
        """How many events of a brand are in the index."""
        return self._index.count(brand_id)

    def _run(self, brand: Brand, state: SearchState, until: float) -> Indexed:
        if not state.generation or self._index.generation(brand.id) != state.generation:
            state = self._begin(brand, state)
        after, number, complete = state.after, 0, False
        before_ms = clock.now_ms() - SETTLE_MS
        while not complete and time.monotonic() < until:
            events = self._events.page(brand.id, after=after, before_ms=before_ms, limit=self._batch)
            complete = len(events) < self._batch
            if not events:
                break
            if not self._put(brand.id, self._with_corrected(brand.id, events), state.run, until):
                complete = False
                break
            after = events[-1].recorded_ms, events[-1].id
            number += len(events)
            if not self._states.advance(brand.id, state.run, after, state.until_ms):
                return Indexed(number, state.until_ms, complete=False)
        done = self._shown(brand.id, state, after, number, before_ms if complete else None)
        # Last, because it may take long, and what it fails to delete nobody finds: searches know the retention too.
        if state.expired_at is None or clock.now() - state.expired_at >= _EXPIRE_EVERY:
            self._expire(brand, state)
        return done

    def _shown(
        self, brand_id: str, state: SearchState, after: SearchPlace | None, number: int, before_ms: int | None
    ) -> Indexed:
        """Make visible what was put in, and only then say so."""
        if number:
            self._index.refresh(brand_id)
        until_ms = before_ms or max(state.until_ms, after[0] if after else 0)
        self._states.advance(brand_id, state.run, after, until_ms)
        return Indexed(number, until_ms, complete=before_ms is not None)

    def _begin(self, brand: Brand, state: SearchState) -> SearchState:
        """The state first: if this ends in between, the index has not the state's name and the next run begins anew."""
        generation = ids.to_text(ids.new_id())
        self._states.begin(brand.id, state.run, generation)
        self._index.begin(brand.id, generation, max(days for _, days in brand.retention.events))
        return SearchState(state.run, generation, None, 0, None)

    def _expire(self, brand: Brand, state: SearchState) -> None:
        now = clock.now()
        if self._index.expire(brand.id, kept_since(brand, now)) < MOST_EXPIRED:
            self._states.expired(brand.id, state.run, now)

    def _with_corrected(self, brand_id: str, events: Sequence[Event]) -> list[Event]:
        """Events, and those that corrections among them are about, as they are now."""
        corrected = sorted({event.corrects for event in events if event.kind is EventKind.RECLASSIFIED})
        found = {event.id: event for event in events}
        if corrected:
            found |= self._stored.by_ids(brand_id, corrected)
        return [event for event in found.values() if event.kind in PUBLIC_KINDS and not event.implied]

    def _put(self, brand_id: str, events: Sequence[Event], version: int, until: float) -> bool:
        """Put events in, fewer at once and later while OpenSearch is busy; False when the time is up before."""
        references = self._stored.references({event.block for event in events})
        at, size, wait = 0, len(events), _FIRST_PAUSE_SECONDS
        while at < len(events):
            try:
                refused = self._index.put(events[at : at + size], references, version)
            except SearchBusy:
                if time.monotonic() + wait >= until:
                    return False
                self._pause(wait)
                size, wait = max(LEAST_BATCH, size // 2), min(2 * wait, _LONGEST_PAUSE_SECONDS)
                continue
            for event_id, status in refused:
                log_event(
                    _log,
                    ERROR,
                    "search_event_refused",
                    brand=brand_id,
                    event_id=ids.event_id_text(event_id),
                    status=status,
                )
            at += size
        return True
