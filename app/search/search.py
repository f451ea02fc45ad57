"""One search: in the index when it is there, up to date and answers; in MongoDB otherwise. The answer is the same."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from app.errors import StoreUnavailable
from app.lib import clock
from app.lib.deadline import Deadline
from app.lib.log import WARNING, log_event
from app.lib.outage import Outage
from app.models.event import Event
from app.models.search import (
    SETTLE_MS,
    Facet,
    FacetCounts,
    Finder,
    Interval,
    SearchPlace,
    SearchQuery,
    SearchState,
    Summary,
)

_log = logging.getLogger(__name__)

MOST_BEHIND_MS = 120_000
"""An index that is further behind is not asked about what it lacks: MongoDB has it."""
INDEX_SECONDS = 1.0
MONGO_SECONDS = 2.5
"""Of one search. A web process does nothing else meanwhile, and hits wait for it too."""


class Stored(Finder, Protocol):
    """The events themselves."""

    def by_ids(self, brand_id: str, event_ids: Sequence[bytes]) -> dict[bytes, Event]: ...
    def clicked_blocks(self, brand_id: str, campaign_id: str, *, most: int, seconds: float) -> list[int]: ...


class States(Protocol):
    def of(self, brand_id: str) -> SearchState | None: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be answered about the events that a query finds."""

    limit: int
    before: SearchPlace | None = None
    facets: tuple[Facet, ...] = ()
    interval: Interval | None = None

    @property
    def summary(self) -> bool:
        return bool(self.facets) or self.interval is not None


class Found(NamedTuple):
    events: list[Event]
    """The latest first."""
    following: SearchPlace | None
    """Where the next page begins, if there is one."""
    until_ms: int
    """Nothing recorded from here on was looked at."""
    summary: Summary | None


class Search:
    """Args:
    index, states: both, or none where there is no search index.
    """

    def __init__(self, stored: Stored, index: Finder | None = None, states: States | None = None) -> None:
        self._stored = stored
        self._index = index
        self._states = states
        self._outage = Outage()

    def run(self, query: SearchQuery, wanted: Wanted) -> Found:
        """Raises:
        TooWide: MongoDB would have to look through too much.
        StoreUnavailable: MongoDB does not answer.
        """
        settled_ms = clock.now_ms() - SETTLE_MS
        query = replace(query, until_ms=min(query.until_ms, settled_ms))
        found = self._in_index(query, wanted, settled_ms)
        return found or self._ask(self._stored, query, wanted, MONGO_SECONDS)

    def clicked_blocks(self, brand_id: str, campaign_id: str, *, most: int, seconds: float) -> list[int]:
        """As `app.storage.event_search` says."""
        return self._stored.clicked_blocks(brand_id, campaign_id, most=most, seconds=seconds)

    def _in_index(self, query: SearchQuery, wanted: Wanted, settled_ms: int) -> Found | None:
        """None when the index cannot say."""
        if self._index is None or self._states is None:
            return None
        state = self._states.of(query.brand_id)
        if state is None or state.until_ms < min(query.until_ms, settled_ms - MOST_BEHIND_MS):
            return None
        query = replace(query, until_ms=min(query.until_ms, state.until_ms))
        try:
            with self._outage.noticed():
                return self._ask(self._index, query, wanted, INDEX_SECONDS)
        except StoreUnavailable as error:
            log_event(_log, WARNING, "search_index_unavailable", brand=query.brand_id, error=str(error))
            return None

    def _ask(self, finder: Finder, query: SearchQuery, wanted: Wanted, seconds: float) -> Found:
        if query.is_empty:
            return Found([], None, query.until_ms, _nothing(wanted))
        deadline = Deadline(seconds)
        places = finder.page(query, before=wanted.before, limit=wanted.limit + 1, seconds=deadline.left())
        shown = places[: wanted.limit]
        summary = None
        if wanted.summary:
            summary = finder.summary(query, facets=wanted.facets, interval=wanted.interval, seconds=deadline.left())
        # What was deleted a moment ago is not there any more, whatever the index says.
        stored = self._stored.by_ids(query.brand_id, [event_id for _, event_id in shown])
        events = [stored[event_id] for _, event_id in shown if event_id in stored]
        return Found(events, shown[-1] if len(places) > len(shown) else None, query.until_ms, summary)


def _nothing(wanted: Wanted) -> Summary | None:
    return Summary(0, {facet: FacetCounts([], 0) for facet in wanted.facets}, []) if wanted.summary else None
