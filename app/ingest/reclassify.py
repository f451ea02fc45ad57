"""Runs the rules of now over stored events, and changes only what differs: after new rules, new lists or a new policy.

A page of events at a time, whose messages are judged together like any batch's. How far it came is kept, so that a run
that was stopped goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from app.brands import Brand
from app.ingest.classify import RULES_VERSION, Judge
from app.ingest.look_back import LookBack
from app.ingest.ports import EndpointRef
from app.lib import clock, ids
from app.models.block import Block
from app.models.event import HIT_KINDS, Event
from app.models.reclassification import Progress

PAGE = 500
_DAY_MS = 86_400_000
_SETTLE_MS = 10_000
"""Batches of the last moments are still being stored; they are judged by the rules of now anyway."""


class Hits(Protocol):
    def hits(
        self, brand_id: str, *, after: tuple[int, bytes] | None, since_ms: int, before_ms: int, limit: int
    ) -> list[Event]: ...


class Runs(Protocol):
    """Keeps one progress per brand."""

    def load(self, brand_id: str) -> Progress | None: ...
    def save(self, progress: Progress) -> None: ...
    def forget(self, brand_id: str) -> None: ...


class Reclassifier:
    """Args:
    blocks_of: the blocks of events, by start.
    tell: writes the deliveries of corrections and answers the endpoints that have work now.
    """

    def __init__(
        self,
        *,
        events: Hits,
        runs: Runs,
        look_back: LookBack,
        blocks_of: Callable[[Sequence[Event]], Mapping[int, Block]],
        tell: Callable[[Sequence[Event], Mapping[int, Block]], Collection[EndpointRef]],
    ) -> None:
        self._events = events
        self._runs = runs
        self._look_back = look_back
        self._blocks_of = blocks_of
        self._tell = tell

    def run(self, brand: Brand, since_ms: int, *, dry: bool = False) -> Iterator[tuple[Progress, set[EndpointRef]]]:
        """Judge a brand's events again, those recorded since a moment.

        A run for the same moment and rule set that was stopped goes on; its pages may be done twice, which changes
        nothing.

        What is older than the shortest retention of any kind of hit is left as it is: part of the evidence may be gone.

        Args:
            dry: only count what would change; keeps no progress.

        Yields:
            after each page how far it is, and the endpoints that have something to be told.
        Raises:
            StoreUnavailable: run it again; it goes on.
        """
        shortest = min(days for kind, days in brand.retention.events if kind in HIT_KINDS)
        kept_ms = clock.now_ms() - shortest * _DAY_MS
        progress = Progress(brand.id, RULES_VERSION, since_ms, ids.new_id().hex())
        stopped = None if dry else self._runs.load(brand.id)
        if stopped is not None and (stopped.since_ms, stopped.rules_version) == (since_ms, RULES_VERSION):
            progress = stopped
        elif not dry:
            self._runs.save(progress)
        judges = {brand.id: Judge(brand.bots)}
        before_ms = clock.now_ms() - _SETTLE_MS
        while events := self._events.hits(
            brand.id, after=progress.after, since_ms=max(since_ms, kept_ms), before_ms=before_ms, limit=PAGE
        ):
            corrected, woken = self._page(progress.run, events, judges, dry=dry)
            last = events[-1]
            progress = replace(
                progress,
                after=(last.recorded_ms, last.id),
                events=progress.events + len(events),
                corrected=progress.corrected + corrected,
            )
            if not dry:
                self._runs.save(progress)
            yield progress, woken
        if not dry:
            self._runs.forget(brand.id)

    def _page(
        self, run: str, events: Sequence[Event], judges: Mapping[str, Judge], *, dry: bool
    ) -> tuple[int, set[EndpointRef]]:
        blocks = self._blocks_of(events)
        known = [event for event in events if event.block in blocks]
        messages = {event.message for event in known}
        if dry:
            return self._look_back.differing(messages, known, judges, blocks), set()
        first = events[0]
        # When a run that died goes on, the page has the same name, and what was not told is told.
        batch_id = f"reclassify:{run}:{first.id.hex()}"
        corrections = self._look_back.settle(messages, known, judges, blocks, batch_id)
        return len(corrections), set(self._tell(corrections, blocks)) if corrections else set()
