"""The collection `events`: every event exactly once, and exactly one of them the first of its kind for its message.

Both are decided by unique indexes and nothing else. `_id` is the event's id. The index `first` is unique over
(message, kind, f), where `f` is the event's rank (`FIRST`, `FIRST_OF_OTHER`, …) or, on every other, its own id: two
events cannot have one rank, whatever races, and the same index finds all events of a message. What Redis
knows (`traces`) only saves a refused insert. Shard key: `m` (ranged), which prefixes that index.
What a document looks like is in `event_documents`; corrections are in `corrections`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice

import pymongo
from bson import Int64
from pymongo import IndexModel
from pymongo.collection import Collection as Mongo
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.errors import StoreUnavailable
from app.models.event import (
    AGAIN,
    FIRST,
    FIRST_APPLE,
    FIRST_MACHINE,
    FIRST_OF_OTHER,
    HIT_KINDS,
    MACHINE_RANKS,
    ONCE_PER_MESSAGE,
    PUBLIC_KINDS,
    Event,
    EventKind,
    Place,
    Share,
)
from app.storage.client import Document, insert_new, translated
from app.storage.event_documents import (
    KIND_CODES,
    KINDS,
    as_first_stored,
    from_document,
    judgement_of,
    to_document,
)

_RANKS = [FIRST, FIRST_OF_OTHER, FIRST_MACHINE, FIRST_APPLE]
_STRIPPED: Document = {
    "x": True,
    # The facts stay, the fingerprints of the client go (`signals.without_source`).
    "sg": {"$mod": [{"$ifNull": ["$sg", 0]}, 1 << 32]},
}
_FIRST_STORED = {"f": 1, "v": 1, "n": 1, "r": 1, "o": 1}
"""What `as_first_stored` reads."""
_ATTEMPTS = 5
_INSERT_SECONDS = 7.0
"""From the stamp `recorded_ms` to the last insert, or the batch is run again and stamped anew. Readers that page by
that stamp rely on it (`SETTLE_MS` in app/web/api/events.py)."""


class EventStore:
    INDEXES = (
        IndexModel([("m", 1), ("k", 1), ("f", 1)], unique=True, name="first"),
        # With the kind in front of the time, because kinds are kept for different times.
        IndexModel([("b", 1), ("k", 1), ("rt", 1), ("_id", 1)], name="by_brand_and_kind"),
    )

    def __init__(self, database: Database[Document]) -> None:
        self._events: Mongo[Document] = database["events"]

    def insert(self, events: Sequence[Event], batch_id: str) -> list[Event]:
        """Store a batch's events; `event.rank` on the way in is a guess, on the way out it is the truth. For the
        kinds in `ONCE_PER_MESSAGE`, and for implied opens, the guess must be `FIRST`: they are that or not stored.

        Running a batch again, at the same time or later, gives the same answer: an event that is there already
        keeps what it has, and belongs to the batch that stored it. Its judgement is the one it was first stored with.

        Returns:
            the batch's events as stored, in order of arrival, and implied opens that only an earlier run stored;
            without those another batch stored, and without second events of what happens once.
        Raises:
            StoreUnavailable: some may be missing; run the batch again.
        """
        with pymongo.timeout(_INSERT_SECONDS):
            return self._insert(events, batch_digest(batch_id))

    def _insert(self, events: Sequence[Event], batch: bytes) -> list[Event]:
        stored: dict[bytes, Event] = {}
        waiting = {event.id: event for event in events}
        again = False
        for _ in range(_ATTEMPTS):
            if not waiting:
                break
            refused = self._insert_some(list(waiting.values()), batch)
            stored.update((event_id, event) for event_id, event in waiting.items() if event_id not in refused)
            if refused:
                before = len(stored)
                waiting = self._settle([waiting[event_id] for event_id in refused], batch, stored)
                again = again or len(stored) > before
            else:
                waiting = {}
        if waiting:
            raise StoreUnavailable("events keep colliding")
        more = self._implied_by(batch, events) if again else []
        return _in_order([*events, *more], stored | {event.id: event for event in more})

    def _implied_by(self, batch: bytes, events: Sequence[Event]) -> list[Event]:
        """The implied opens that an earlier run of a batch stored; their clicks may have been corrected since."""
        query = {"m": {"$in": sorted({event.message for event in events})}, "bt": batch, "im": True}
        with translated():
            return [as_first_stored(from_document(row), row) for row in self._events.find(query).hint("first")]

    def _insert_some(self, events: list[Event], batch: bytes) -> set[bytes]:
        """Insert and answer the ids that a unique index refused."""
        refused = insert_new(self._events, [to_document(event, batch) for event in events])
        return {events[position].id for position in refused}

    def _settle(self, refused: list[Event], batch: bytes, stored: dict[bytes, Event]) -> dict[bytes, Event]:
        """Refused events are either stored already, or do not have the rank they tried; those are inserted again."""
        with translated():
            present = {
                bytes(document["_id"]): document
                for document in self._events.find(
                    {"_id": {"$in": [event.id for event in refused]}},
                    {**_FIRST_STORED, "bt": 1},
                )
            }
        absent = []
        for event in refused:
            document = present.get(event.id)
            if document is None:
                absent.append(event)
            elif document["bt"] == batch:
                stored[event.id] = as_first_stored(event, document)
        absent = [event for event in absent if event.kind not in ONCE_PER_MESSAGE and not event.implied]
        if not absent:
            return {}
        ranks = self._ranks({event.message for event in absent if event.rank == FIRST})
        return {event.id: event._replace(rank=_next_rank(event, ranks)) for event in absent}

    def _ranks(self, messages: Collection[int]) -> dict[tuple[int, EventKind], dict[int, Share]]:
        """(message, kind) → the ranks that are taken, and by which share."""
        found: dict[tuple[int, EventKind], dict[int, Share]] = {}
        if messages:
            query = {"m": {"$in": sorted(messages)}, "f": {"$in": _RANKS}}
            wanted = {"m": 1, "k": 1, "f": 1, "v": 1, "n": 1, "r": 1, "_id": 0}
            with translated():
                for row in self._events.find(query, wanted):
                    taken = found.setdefault((int(row["m"]), KINDS[row["k"]]), {})
                    taken[int(row["f"])] = judgement_of(row).share
        return found

    def confirm_firsts(self, events: Sequence[Event], places: set[Place]) -> tuple[list[Event], set[Place]]:
        """Make sure that each (message, kind, share) has its first event, and make one of the batch's own that if not.

        For places that the batch left to another batch, which may have died since, and for a batch that runs again.

        A batch may also have given its event the second rank because another was about to store the first: when there
        is none, the event becomes the first.

        Args:
            events: the batch's own, as stored; the earliest of a place becomes its first.

        Returns:
            the events as they are now, and the places that certainly have a first event.
        """
        ranks = self._ranks({place[0] for place in places})
        confirmed = {place for place in places if place[2] in ranks.get(place[:2], {}).values()}
        asked = {place[:2] for place in places}
        settled: list[Event] = []
        changed: set[bytes] = set()
        for event in events:
            place = event.place
            if place is None or place[:2] not in asked:
                settled.append(event)
                continue
            changed.add(event.id)
            taken = ranks.setdefault(place[:2], {})
            alone = event.rank == FIRST_OF_OTHER and FIRST not in taken
            if alone or (place in places and place not in confirmed):
                rank = _free_rank(event.judgement.share, taken)
                if self._promote(event, rank):
                    taken[rank] = event.judgement.share
                    confirmed.add(place)
                    settled.append(event.with_rank(rank))
                    continue
            settled.append(event)
        return self._as_stored(settled, changed), confirmed

    def _as_stored(self, events: list[Event], wanted: set[bytes]) -> list[Event]:
        """The events, those that are wanted as MongoDB has them: another run of the same batch may have given one of
        them its rank since they were stored, and what is counted must not depend on which run ends first."""
        if not wanted:
            return events
        with translated():
            rows = self._events.find({"_id": {"$in": sorted(wanted)}}, _FIRST_STORED)
            found = {bytes(row["_id"]): row for row in rows}
        return [as_first_stored(event, found[event.id]) if event.id in found else event for event in events]

    def _promote(self, event: Event, rank: int) -> bool:
        """Give a stored event a rank; False when another one has it meanwhile, or the event has been corrected (who
        corrects a message sees to its ranks)."""
        query: Document = {"_id": event.id, "m": event.message, "o": {"$exists": False}}
        with translated():
            try:
                return self._events.update_one(query, {"$set": {"f": rank}}).matched_count == 1
            except DuplicateKeyError:
                return False

    def find_first(self, message: int, kind: EventKind) -> Event | None:
        """The first counted event of a kind for a message."""
        with translated():
            document = self._events.find_one({"m": Int64(message), "k": KIND_CODES[kind], "f": FIRST})
        return None if document is None else from_document(document)

    def any_since(self, ms: int) -> bool:
        """Whether anything was hit since that moment. Ids are ordered by time."""
        with translated():
            return self._events.find_one({"_id": {"$gte": ms.to_bytes(6, "big")}}, {"_id": 1}) is not None

    def of_message(self, message: int, limit: int = 1000) -> list[Event]:
        """A message's events in time order, at most `limit`."""
        with translated():
            found = list(self._events.find({"m": Int64(message)}).limit(limit))
        return sorted((from_document(document) for document in found), key=lambda event: event.id)

    def page(
        self,
        brand_id: str,
        *,
        after: tuple[int, bytes] | None,
        before_ms: int,
        limit: int,
        kind: EventKind | None = None,
        campaign_id: str | None = None,
    ) -> list[Event]:
        """A brand's events in the order they were recorded, so that an event that arrives late is not skipped.

        Args:
            after: (recorded milliseconds, id) of the last event of the page before.
            before_ms: only what was recorded before this; leave a moment for batches that are being stored.
        """
        query: Document = {}
        if campaign_id is not None:
            query["c"] = campaign_id
        kinds = PUBLIC_KINDS if kind is None else (kind,)
        return self._page(brand_id, kinds, query, after=after, since_ms=0, before_ms=before_ms, limit=limit)

    def hits(
        self, brand_id: str, *, after: tuple[int, bytes] | None, since_ms: int, before_ms: int, limit: int
    ) -> list[Event]:
        """As `page`, but only what is judged, and recorded from `since_ms` on."""
        return self._page(brand_id, HIT_KINDS, {}, after=after, since_ms=since_ms, before_ms=before_ms, limit=limit)

    def _page(
        self,
        brand_id: str,
        kinds: Collection[EventKind],
        query: Document,
        *,
        after: tuple[int, bytes] | None,
        since_ms: int,
        before_ms: int,
        limit: int,
    ) -> list[Event]:
        # All kinds by name instead of none: so MongoDB merges one scan per kind, each already in the order wanted.
        query |= {"b": brand_id, "k": {"$in": sorted(KIND_CODES[kind] for kind in kinds)}}
        query["rt"] = {"$gte": Int64(since_ms), "$lt": Int64(before_ms)}
        query["im"] = {"$exists": False}
        if after is not None:
            recorded, event_id = Int64(after[0]), after[1]
            query["rt"]["$gte"] = recorded
            query["$or"] = [{"rt": {"$gt": recorded}}, {"rt": recorded, "_id": {"$gt": event_id}}]
        with translated():
            found = list(self._events.find(query).sort([("rt", 1), ("_id", 1)]).limit(limit))
        return [from_document(document) for document in found]

    def unstripped(self, messages: Sequence[int], size: int) -> Iterator[list[bytes]]:
        """Ids of messages' events that `strip` has not been at, by `size`: anybody may make very many of them."""
        query: Document = {"m": {"$in": [Int64(number) for number in messages]}, "x": {"$exists": False}}
        with self._events.find(query, {"_id": 1}).hint("first").batch_size(size) as cursor:
            while True:
                with translated():
                    some = [bytes(row["_id"]) for row in islice(cursor, size)]
                if not some:
                    return
                yield some

    def strip(self, messages: Sequence[int], event_ids: Sequence[bytes]) -> None:
        """Take out of some events of messages whatever could still tell of a person; what happened stays counted."""
        query: Document = {"_id": {"$in": list(event_ids)}, "m": {"$in": [Int64(number) for number in messages]}}
        with translated():
            self._events.update_many(query, [{"$set": _STRIPPED}, {"$unset": ["ip", "q", "p"]}])

    def delete_recorded_before(self, brand_id: str, kind: EventKind, before_ms: int, limit: int) -> int:
        """Delete at most `limit` of a brand's events of a kind that are past their retention; answers how many."""
        query = {"b": brand_id, "k": KIND_CODES[kind], "rt": {"$lt": Int64(before_ms)}}
        with translated():
            old = self._events.find(query, {"_id": 1}).limit(limit)
            ids = [document["_id"] for document in old]
            return self._events.delete_many({"_id": {"$in": ids}}).deleted_count if ids else 0


def batch_digest(batch_id: str) -> bytes:
    """What an event keeps of the batch that stored it."""
    return hashlib.blake2b(batch_id.encode(), digest_size=12).digest()


def _in_order(events: Sequence[Event], stored: dict[bytes, Event]) -> list[Event]:
    return [stored[event_id] for event_id in dict.fromkeys(event.id for event in events) if event_id in stored]


def _free_rank(share: Share, taken: Mapping[int, Share]) -> int:
    """The rank for an event that is the first of its share."""
    return MACHINE_RANKS.get(share, FIRST_OF_OTHER if FIRST in taken else FIRST)


def _next_rank(event: Event, ranks: Mapping[tuple[int, EventKind], Mapping[int, Share]]) -> int:
    """What to try after a rank was refused."""
    taken = ranks.get((event.message, event.kind), {})
    if event.rank != FIRST or event.judgement.share in taken.values():
        return AGAIN
    rank = _free_rank(event.judgement.share, taken)
    return AGAIN if rank in taken else rank
