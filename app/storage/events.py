"""The collection `events`: every event exactly once, and exactly one of them the first of its kind for its message.

Both are decided by unique indexes and nothing else. `_id` is the event's id. The index `first` is unique over
(message, kind, f), where `f` is 0 on the first counted event and the event's own id on every other: two
events cannot both be first, whatever races, and the same index finds all events of a message. What Redis
knows (`first_hints`) only saves a refused insert. Shard key: `m` (ranged), which prefixes that index.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pymongo
from bson import Int64
from pymongo import IndexModel
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.errors import StoreUnavailable
from app.models.event import AGAIN, FIRST, ONCE_PER_MESSAGE, Event, EventKind, Judgement, Verdict
from app.storage.client import WRITE_CONCERN, Document, translated
from app.storage.messages import DUPLICATE_KEY

# Stored as small integers: the values are part of the data, only ever add to them.
_KIND_CODES = {
    EventKind.SENT: 1,
    EventKind.OPENED: 2,
    EventKind.CLICKED: 3,
    EventKind.UNSUBSCRIBED: 4,
    EventKind.RECLASSIFIED: 5,
    EventKind.VIEWED: 6,
}
_KINDS = {code: kind for kind, code in _KIND_CODES.items()}
_VERDICT_CODES = {Verdict.HUMAN: 1, Verdict.PROXY: 2, Verdict.MACHINE: 3}
_VERDICTS = {code: verdict for verdict, code in _VERDICT_CODES.items()}
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
        self._events: Collection[Document] = database["events"]

    def insert(self, events: Sequence[Event], batch_id: str) -> list[Event]:
        """Store a batch's events; `event.first` on the way in is a guess, on the way out it is the truth. For the
        kinds in `ONCE_PER_MESSAGE` the guess must be True: they are first or they are not stored.

        Running a batch again, at the same time or later, gives the same answer: an event that is there already
        keeps what it has, and belongs to the batch that stored it.

        Returns:
            the batch's events as stored, in order of arrival; without those another batch stored, and without
            second events of the kinds in `ONCE_PER_MESSAGE`.
        Raises:
            StoreUnavailable: some may be missing; run the batch again.
        """
        with pymongo.timeout(_INSERT_SECONDS):
            return self._insert(events, batch_id)

    def _insert(self, events: Sequence[Event], batch_id: str) -> list[Event]:
        batch = hashlib.blake2b(batch_id.encode(), digest_size=12).digest()
        stored: dict[bytes, Event] = {}
        waiting = {event.id: event for event in events}
        for _ in range(_ATTEMPTS):
            if not waiting:
                break
            refused = self._insert_some(list(waiting.values()), batch)
            stored.update((event_id, event) for event_id, event in waiting.items() if event_id not in refused)
            waiting = self._settle([waiting[event_id] for event_id in refused], batch, stored) if refused else {}
        if waiting:
            raise StoreUnavailable("events keep colliding")
        return _in_order(events, stored)

    def _insert_some(self, events: list[Event], batch: bytes) -> set[bytes]:
        """Insert and answer the ids that a unique index refused."""
        command = {
            # The plain command instead of `insert_many`: the driver's way there costs some microseconds per document,
            # and what it does for that (ids, splitting at 100,000 documents or 48 MB) is not needed for a batch.
            "insert": self._events.name,
            "documents": [_to_document(event, batch) for event in events],
            "ordered": False,
            "writeConcern": WRITE_CONCERN.document,
        }
        with translated():
            answer = self._events.database.command(command)
        refused = answer.get("writeErrors", [])
        if answer.get("writeConcernError") or any(error["code"] != DUPLICATE_KEY for error in refused):
            raise StoreUnavailable("insert")
        return {events[error["index"]].id for error in refused}

    def _settle(self, refused: list[Event], batch: bytes, stored: dict[bytes, Event]) -> dict[bytes, Event]:
        """Refused events are either stored already, or only not the first; the latter are to be inserted again."""
        with translated():
            present = {
                bytes(document["_id"]): document
                for document in self._events.find({"_id": {"$in": [event.id for event in refused]}}, {"f": 1, "bt": 1})
            }
        again: dict[bytes, Event] = {}
        for event in refused:
            document = present.get(event.id)
            if document is not None:
                if document["bt"] == batch:
                    stored[event.id] = event._replace(rank=_rank(document))
            elif event.kind not in ONCE_PER_MESSAGE:
                again[event.id] = event._replace(rank=AGAIN)
        return again

    def confirm_firsts(
        self, events: Sequence[Event], pairs: set[tuple[int, EventKind]]
    ) -> tuple[list[Event], set[tuple[int, EventKind]]]:
        """Make sure that each (message, kind) has its first event, and make one of the batch's own the first if not.

        For pairs that the batch left to another batch, which may have died since, and for a batch that runs again.

        Args:
            events: the batch's own, as stored; the earliest counted one of a pair becomes its first.

        Returns:
            the events as they are now, and the pairs that certainly have a first event.
        """
        wanted = sorted({message for message, _ in pairs})
        with translated():
            found = self._events.find({"m": {"$in": wanted}, "f": FIRST}, {"m": 1, "k": 1, "_id": 0})
            confirmed = {(int(row["m"]), _KINDS[row["k"]]) for row in found} & pairs
        settled: list[Event] = []
        for event in events:
            pair = (event.message, event.kind)
            if event.judgement.counted and pair in pairs and pair not in confirmed:
                confirmed.add(pair)
                settled.append(event._replace(rank=FIRST if self._promote(event) else AGAIN))
            else:
                settled.append(event)
        return settled, confirmed

    def _promote(self, event: Event) -> bool:
        """Make a stored event the first of its kind; False when another one has become it meanwhile."""
        with translated():
            try:
                self._events.update_one({"_id": event.id, "m": event.message}, {"$set": {"f": FIRST}})
            except DuplicateKeyError:
                return False
        return True

    def find_first(self, message: int, kind: EventKind) -> Event | None:
        """The first counted event of a kind for a message."""
        with translated():
            document = self._events.find_one({"m": Int64(message), "k": _KIND_CODES[kind], "f": FIRST})
        return None if document is None else _from_document(document)

    def of_message(self, message: int, limit: int = 1000) -> list[Event]:
        """A message's events in time order, at most `limit`."""
        with translated():
            found = list(self._events.find({"m": Int64(message)}).limit(limit))
        return sorted((_from_document(document) for document in found), key=lambda event: event.id)

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
        # All kinds by name instead of none: so MongoDB merges one scan per kind, each already in the order wanted.
        kinds = sorted(_KINDS) if kind is None else [_KIND_CODES[kind]]
        query: Document = {"b": brand_id, "k": {"$in": kinds}, "rt": {"$lt": Int64(before_ms)}}
        if after is not None:
            recorded, event_id = Int64(after[0]), after[1]
            query["rt"]["$gte"] = recorded
            query["$or"] = [{"rt": {"$gt": recorded}}, {"rt": recorded, "_id": {"$gt": event_id}}]
        if campaign_id is not None:
            query["c"] = campaign_id
        with translated():
            found = list(self._events.find(query).sort([("rt", 1), ("_id", 1)]).limit(limit))
        return [_from_document(document) for document in found]

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
            self._events.update_many(query, {"$set": {"x": True}, "$unset": {"ip": "", "q": "", "p": ""}})

    def delete_recorded_before(self, brand_id: str, kind: EventKind, before_ms: int, limit: int) -> int:
        """Delete at most `limit` of a brand's events of a kind that are past their retention; answers how many."""
        query = {"b": brand_id, "k": _KIND_CODES[kind], "rt": {"$lt": Int64(before_ms)}}
        with translated():
            old = self._events.find(query, {"_id": 1}).limit(limit)
            ids = [document["_id"] for document in old]
            return self._events.delete_many({"_id": {"$in": ids}}).deleted_count if ids else 0


def _in_order(events: Sequence[Event], stored: dict[bytes, Event]) -> list[Event]:
    return [stored[event_id] for event_id in dict.fromkeys(event.id for event in events) if event_id in stored]


def _rank(document: Document) -> int:
    return document["f"] if isinstance(document["f"], int) else AGAIN


def _to_document(event: Event, batch: bytes) -> Document:
    judgement = event.judgement
    # Plain bytes and integers: the driver picks the smallest type that holds them, and MongoDB compares by value.
    event_id = event.id
    document: dict[str, Any] = {
        "_id": event_id,
        "b": event.brand_id,
        "m": event.message,
        "k": _KIND_CODES[event.kind],
        "f": event_id if event.rank == AGAIN else event.rank,
        "bl": event.block,
        "s": event.slot,
        "at": event.at_ms,
        "rt": event.recorded_ms,
        "v": _VERDICT_CODES[judgement.verdict],
        "n": judgement.counted,
        "r": judgement.reasons,
        "rv": event.rules_version,
        "bt": batch,
    }
    if event.campaign_id is not None:
        document["c"] = event.campaign_id
    if event.user_agent:
        document["ua"] = event.user_agent
    if event.client:
        document["ip"] = event.client
    if event.method is not None:
        document["um"] = event.method
    if event.query:
        document["q"] = event.query
    if event.personal:
        document["p"] = event.personal
    return document


def _from_document(document: Document) -> Event:
    return Event(
        id=bytes(document["_id"]),
        kind=_KINDS[document["k"]],
        brand_id=document["b"],
        message=int(document["m"]),
        block=int(document["bl"]),
        slot=document["s"],
        at_ms=int(document["at"]),
        recorded_ms=int(document["rt"]),
        judgement=Judgement(_VERDICTS[document["v"]], document["n"], tuple(document["r"])),
        rank=_rank(document),
        rules_version=document["rv"],
        campaign_id=document.get("c"),
        user_agent=document.get("ua", ""),
        client=document.get("ip", ""),
        method=document.get("um"),
        query=document.get("q", ""),
        personal=bytes(document.get("p", b"")),
    )
