"""Reads all events of messages, and corrects them: what changes, what is told of it and what it does to the counts
is one transaction. Counts of a correction lie on a marker like a batch's (`batches`), with both signs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol

import pymongo
from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError
from pymongo.read_concern import ReadConcern

from app.errors import StoreUnavailable
from app.lib import clock, ids
from app.models.count import CountKey
from app.models.event import AGAIN, Event, EventKind
from app.storage.client import DUPLICATE_KEY, WRITE_CONCERN, Document, translated
from app.storage.event_documents import KIND_CODES, correction_of, from_document, to_document
from app.storage.events import batch_digest

MOST_EVENTS = 1000
"""Of one message. Who has more is not looked back over: a link that is passed around, not a scanner."""
_CHUNK = 50
_SECONDS = 7.0
"""From the stamps of what is new to its commit, as for events (`_INSERT_SECONDS`): readers page by that stamp."""
_ATTEMPTS = 5


class Revision(Protocol):
    @property
    def changes(self) -> list[tuple[Event, Event]]: ...
    @property
    def new(self) -> list[Event]: ...
    @property
    def counts(self) -> Mapping[CountKey, int]: ...


Revise = Callable[[int, Sequence[Event]], Revision]


class Corrections:
    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._events = database["events"]

    def load(self, messages: Collection[int]) -> dict[int, list[Event]]:
        """Message → all its events, without those that have more than `MOST_EVENTS` and those of erased people.

        Raises:
            StoreUnavailable: try again later.
        """
        with translated():
            return {
                message: [from_document(document) for document in documents]
                for message, documents in self._load(messages, None).items()
            }

    def told(self, messages: Collection[int], batch_id: str) -> list[Event]:
        """The corrections of messages that were made for a batch: who died before telling them tells them now."""
        query = {
            "m": {"$in": sorted(messages)},
            "k": KIND_CODES[EventKind.RECLASSIFIED],
            "bt": _digest(batch_id),
        }
        with translated():
            return [from_document(document) for document in self._events.find(query).hint("first")]

    def settle(self, messages: Collection[int], revise: Revise, batch_id: str) -> list[Event]:
        """Make the events of messages what they should be. Doing it again changes nothing.

        Args:
            revise: says what to change of a message, given all its events as they are at that moment.
            batch_id: for whom.

        Returns:
            the corrections that were made.
        Raises:
            StoreUnavailable: nothing of a chunk has changed that is not complete; try again later.
        """
        made: list[Event] = []
        for chunk in _chunks(sorted(messages)):
            for attempt in range(_ATTEMPTS):
                try:
                    made += self._settle(chunk, revise, batch_id)
                    break
                except StoreUnavailable as error:
                    # An event was stored at that moment, and has the rank; now it will be seen.
                    if attempt == _ATTEMPTS - 1 or not _is_collision(error.__cause__):
                        raise
        return made

    def _settle(self, messages: Sequence[int], revise: Revise, batch_id: str) -> list[Event]:
        # The driver retries a transaction for two minutes by itself, whatever timeoutMS says.
        with translated(), pymongo.timeout(_SECONDS), self._database.client.start_session() as session:
            return session.with_transaction(
                lambda inside: self._correct(inside, messages, revise, _digest(batch_id)),
                read_concern=ReadConcern("snapshot"),
                write_concern=WRITE_CONCERN,
            )

    def _correct(self, session: ClientSession, messages: Sequence[int], revise: Revise, batch: bytes) -> list[Event]:
        new: list[Event] = []
        # Ranks are given up before others take them: the unique index allows no moment with two.
        given_up: list[UpdateOne] = []
        updates: list[UpdateOne] = []
        counts: dict[CountKey, int] = {}
        for message, documents in self._load(messages, session).items():
            events = [from_document(document) for document in documents]
            revision = revise(message, events)
            by_id = {bytes(document["_id"]): document for document in documents}
            for before, after in revision.changes:
                one = {"_id": before.id, "m": message}
                if AGAIN != before.rank != after.rank:
                    given_up.append(UpdateOne(one, {"$set": {"f": before.id}}))
                updates.append(UpdateOne(one, correction_of(before, after, by_id[before.id])))
            new += revision.new
            for key, number in revision.counts.items():
                counts[key] = counts.get(key, 0) + number
        if updates:
            self._events.bulk_write([*given_up, *updates], session=session)
        if new:
            self._events.insert_many([to_document(event, batch) for event in new], session=session)
        if rows := [[*key, number] for key, number in counts.items() if number]:
            now = clock.now()
            marker = {"_id": f"correction:{ids.new_id().hex()}", "at": now, "records": 0, "open": now, "counts": rows}
            self._database["batches"].insert_one(marker, session=session)
        return [event for event in new if event.kind is EventKind.RECLASSIFIED]

    def _load(self, messages: Collection[int], session: ClientSession | None) -> dict[int, list[Document]]:
        found: dict[int, list[Document]] = {}
        for chunk in _chunks(sorted(messages)):
            documents = self._some(chunk, _CHUNK * (MOST_EVENTS + 1), session)
            if documents is None:  # one of them has very many: each by itself, so that none is read by half
                parts = [self._some([message], MOST_EVENTS + 1, session) for message in chunk]
                documents = [document for part in parts if part is not None for document in part]
            for document in documents:
                found.setdefault(int(document["m"]), []).append(document)
        return {message: documents for message, documents in found.items() if _can_be_judged(documents)}

    def _some(self, messages: Sequence[int], limit: int, session: ClientSession | None) -> list[Document] | None:
        """All events of messages; None when there are `limit` or more."""
        query = {"m": {"$in": list(messages)}}
        documents = list(self._events.find(query, session=session).hint("first").limit(limit))
        return None if len(documents) >= limit else documents


def _digest(batch_id: str) -> bytes:
    """Apart from the batch's own: what it stores it counts itself, and what corrects is counted by the correction."""
    return batch_digest(f"correction:{batch_id}")


def _can_be_judged(documents: Sequence[Document]) -> bool:
    """Not what an erasure has been at: the evidence for what was said of it is gone."""
    return len(documents) <= MOST_EVENTS and not any("x" in document for document in documents)


def _is_collision(error: BaseException | None) -> bool:
    if isinstance(error, BulkWriteError):
        return all(one["code"] == DUPLICATE_KEY for one in error.details["writeErrors"])
    return isinstance(error, DuplicateKeyError)


def _chunks(messages: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(messages), _CHUNK):
        yield messages[start : start + _CHUNK]
