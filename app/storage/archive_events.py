"""What an archive asks of `events`: where a brand's begin, how many an hour has, and putting archived ones back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from bson import Int64
from pymongo.database import Database

from app.models.event import AGAIN, PUBLIC_KINDS, Event, EventKind
from app.storage.client import Document, insert_new, translated
from app.storage.event_documents import KIND_CODES, VERDICT_CODES, from_document, to_document
from app.storage.events import EventStore, batch_digest

_SLICE_MS = 300_000
"""Counted at once: of five million opens in an hour a slice has some 400,000, which MongoDB counts within a second or
two."""
_RESTORED = batch_digest("archive")
"""The batch of events that came back. No batch of the journal has it, so what is counted once is not counted again."""


class Restored(NamedTuple):
    """What became of some events."""

    inserted: int
    present: int
    """They were there already, and stay as they are."""


class ArchiveEvents:
    def __init__(self, database: Database[Document]) -> None:
        self._events = database["events"]
        self._store = EventStore(database)

    def first_recorded_ms(self, brand_id: str) -> int | None:
        """When the oldest of a brand's stored events was recorded; None when there are none."""
        found = []
        for kind in PUBLIC_KINDS:
            with translated():
                query = {"b": brand_id, "k": KIND_CODES[kind]}
                row = self._events.find_one(query, {"rt": 1}, sort=[("rt", 1)], hint="by_brand_and_kind")
            found += [] if row is None else [int(row["rt"])]
        return min(found, default=None)

    def page(self, brand_id: str, *, after: tuple[int, bytes] | None, before_ms: int, limit: int) -> list[Event]:
        return self._store.page(brand_id, after=after, before_ms=before_ms, limit=limit)

    def counts(self, brand_id: str, since_ms: int, until_ms: int) -> Counter[EventKind]:
        """How many events of each public kind were recorded in [since, until)."""
        total: Counter[EventKind] = Counter()
        for kind in PUBLIC_KINDS:
            for start in range(since_ms, until_ms, _SLICE_MS):
                total[kind] += self._count(brand_id, kind, start, min(start + _SLICE_MS, until_ms))
        return +total

    def _count(self, brand_id: str, kind: EventKind, since_ms: int, until_ms: int) -> int:
        query: Document = {
            "b": {"$eq": brand_id},
            "k": KIND_CODES[kind],
            "rt": {"$gte": Int64(since_ms), "$lt": Int64(until_ms)},
        }
        if kind is EventKind.OPENED:
            query["im"] = {"$exists": False}  # the others are counted from the index alone
        with translated():
            return self._events.count_documents(query, hint="by_brand_and_kind")

    def present(self, event_ids: Collection[bytes]) -> set[bytes]:
        """Those of the ids that are stored."""
        with translated():
            return {bytes(row["_id"]) for row in self._events.find({"_id": {"$in": list(event_ids)}}, {"_id": 1})}

    def restore(self, events: Sequence[Event], erased: Collection[int]) -> Restored:
        """Put archived events back, and what corrections among them say of others that came back. What is there stays
        as it is; doing it again changes nothing.

        Args:
            events: of one brand, in the order they were recorded.
            erased: numbers of messages whose events come back without what could tell of a person.

        Raises:
            StoreUnavailable: some may be missing; do it again.
        """
        kept = [_nameless(event) if event.message in erased else event for event in events]
        refused = self._insert(kept)
        present = self.present([event.id for event in refused])
        # Another event has the rank meanwhile. The event's own id, as its rank, collides with none.
        without_rank = [event.with_rank(AGAIN) for event in refused if event.id not in present]
        self._insert(without_rank)
        if nameless := [event for event in kept if event.message in erased]:
            self._store.strip([event.message for event in nameless], [event.id for event in nameless])
        self._correct([event for event in kept if event.kind is EventKind.RECLASSIFIED])
        return Restored(len(kept) - len(present), len(present))

    def _insert(self, events: Sequence[Event]) -> list[Event]:
        """Those that a unique index refused."""
        return [events[place] for place in insert_new(self._events, [to_document(one, _RESTORED) for one in events])]

    def _correct(self, corrections: Sequence[Event]) -> None:
        """An event was archived as it was before its correction. Not one that has been corrected here since (`o`)."""
        messages: set[int] = set()
        for correction in corrections:
            judgement = correction.judgement
            stored = {
                "_id": correction.corrects,
                "m": Int64(correction.message),
                "bt": _RESTORED,
                "o": {"$exists": False},
            }
            differs = {"$or": [{"v": {"$ne": VERDICT_CODES[judgement.verdict]}}, {"n": {"$ne": judgement.counted}}]}
            change = {
                "v": VERDICT_CODES[judgement.verdict],
                "n": judgement.counted,
                "r": judgement.reasons,
                "rv": correction.rules_version,
                "f": correction.corrects,
            }
            with translated():
                self._events.update_one(stored | differs, {"$set": change})
            messages.add(correction.message)
        if messages:
            self._rank_anew(messages)

    def _rank_anew(self, messages: Collection[int]) -> None:
        """Corrections move ranks, and the archive may have seen the one event before and the other after that."""
        query = {"m": {"$in": [Int64(number) for number in sorted(messages)]}, "bt": _RESTORED}
        with translated():
            events = [from_document(row) for row in self._events.find(query).hint("first")]
        places = {place for event in events if (place := event.place) is not None}
        self._store.confirm_firsts(sorted(events, key=lambda event: event.id), places)


def _nameless(event: Event) -> Event:
    return event._replace(client="", query="", personal=b"")
