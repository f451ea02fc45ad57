"""A delivery as a document of the collection `deliveries` and back: what is sealed, and what its log holds.

    _id, brand_id, endpoint_id, event_type, state, closed, created_at, next_attempt_at, due_at, attempts, token, log
    body, kn            of one event: what is sent, sealed
    items, n, batch, kn of a batch: [{e event id, t type, s sealed}], how many, its id
    frozen              it may have been sent, so no event joins it any more
    strict              its endpoint wants its events in order

Each event is sealed with the key of the person whom it is about: when that key is erased, so is it. `kn` is the lowest
number of the brand's keys that must stay for the row, 0 when persons' keys sealed all of it. URLs and answers are
sealed with the key of the (first) event; the answers to batches are not kept, they may speak of anybody in them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson

from app.errors import TelltaleError
from app.lib.log import WARNING, log_event
from app.models.delivery import Attempt, Delivery, DeliveryState, Item
from app.models.recipient_key import HeldKeys
from app.storage.client import Document

MAX_LOG = 12
KEPT_FOR = timedelta(days=30)
"""Delivered and dead rows, where the brand says nothing else; as long as they can be replayed."""
KeptFor = Callable[[str], timedelta]
"""Brand id → how long it keeps its delivered and dead rows."""
_PURPOSE = "delivery"
_log = logging.getLogger(__name__)


class Vault(Protocol):
    """What deliveries need of `app.privacy.recipients.Vault`."""

    def seal_under(
        self, purpose: str, items: Sequence[tuple[str, bytes, bytes]], held: HeldKeys | None = None
    ) -> list[bytes | None]: ...
    def open_many(self, purpose: str, items: Sequence[tuple[str, bytes]]) -> list[bytes | None]: ...
    def key_id_of(self, sealed: bytes) -> bytes: ...
    def number_of(self, sealed: bytes) -> int: ...


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery with the log of its attempts, oldest first. Of an erased person's, all texts are empty."""

    delivery: Delivery
    log: tuple[Attempt, ...]
    leased: bool
    """A worker has it right now (or had it when it was killed)."""
    events: int = 1
    """How many events it carries, those of erased persons included."""

    @property
    def closed(self) -> str:
        return self.delivery.closed


class DeliveryRows:
    """Documents in, models out, and back; what is sealed or opened together takes one query for the keys."""

    def __init__(self, vault: Vault, kept_for: KeptFor) -> None:
        self._vault = vault
        self._kept_for = kept_for

    def expire_at(self, delivery: Delivery, now: datetime) -> datetime:
        return now + self._kept_for(delivery.brand_id)

    def to_documents(self, deliveries: Sequence[Delivery], held: HeldKeys | None = None) -> list[Document]:
        """What is stored of new deliveries. Those whose persons are all erased meanwhile are closed before they
        begin."""
        bodies = iter(
            self._vault.seal_under(
                _PURPOSE,
                [(one.brand_id, item.key_id, item.body) for one in deliveries for item in one.items],
                held,
            )
        )
        return [self._to_document(one, [next(bodies) for _ in one.items]) for one in deliveries]

    def _to_document(self, delivery: Delivery, sealed: Sequence[bytes | None]) -> Document:
        document: Document = {
            "_id": delivery.id,
            "brand_id": delivery.brand_id,
            "endpoint_id": delivery.endpoint_id,
            "event_type": delivery.event_type,
            "created_at": delivery.created_at,
            "next_attempt_at": delivery.next_attempt_at,
            "attempts": delivery.attempts,
        }
        kept = [(item, body) for item, body in zip(delivery.items, sealed, strict=True) if body is not None]
        if not kept:
            return {**document, **close_erased(delivery.created_at + self._kept_for(delivery.brand_id))}
        document["state"] = delivery.state.value
        if delivery.state is DeliveryState.PENDING:
            document["due_at"] = delivery.next_attempt_at
        if delivery.strict:
            document["strict"] = True
        if not delivery.batch_id:
            return {**document, "body": kept[0][1], "kn": self._vault.number_of(kept[0][1])}
        return document | self.batch_fields(
            delivery.batch_id, [{"e": item.event_id, "t": item.event_type, "s": body} for item, body in kept]
        )

    def batch_fields(self, batch_id: str, items: list[Document]) -> Document:
        """The fields of a batch of items as they are stored."""
        return {
            "batch": batch_id,
            "n": len(items),
            "items": items,
            "kn": min(filter(None, (self._vault.number_of(bytes(item["s"])) for item in items)), default=0),
        }

    def open_items(self, rows: Sequence[Document]) -> list[tuple[Item, ...]]:
        """The events of rows, without those of erased persons; empty where nothing is left.

        Raises:
            PermanentError: one of them cannot be opened.
        """
        sealed = [(row, *one) for row in rows for one in _sealed_items(row)]
        opened = iter(self._vault.open_many(_PURPOSE, [(row["brand_id"], body) for row, _, _, body in sealed]))
        found: list[tuple[Item, ...]] = []
        for row in rows:
            items = []
            for event_id, event_type, body in _sealed_items(row):
                if (plain := next(opened)) is not None:
                    items.append(Item(event_id, event_type, plain, self._vault.key_id_of(body)))
            found.append(tuple(items))
        return found

    def to_delivery(self, row: Document, items: tuple[Item, ...]) -> Delivery:
        """Args:
        items: as opened; without any, the row's events stand there without their bodies.
        """
        return Delivery(
            id=row["_id"],
            endpoint_id=row["endpoint_id"],
            brand_id=row["brand_id"],
            items=items or tuple(_without_bodies(row)),
            created_at=row["created_at"],
            next_attempt_at=row["next_attempt_at"],
            batch_id=row.get("batch", ""),
            attempts=row["attempts"],
            state=DeliveryState(row["state"]),
            closed=row.get("closed", ""),
            strict=row.get("strict", False),
            replayed_at=row.get("replayed_at"),
        )

    def to_record(self, row: Document) -> DeliveryRecord:
        """A row, with or without what is sealed in it."""
        entries = [entry for entry in row.get("log", ()) if "detail" in entry]
        opened = self._vault.open_many(_PURPOSE, [(row["brand_id"], bytes(entry["detail"])) for entry in entries])
        details = {id(entry): raw for entry, raw in zip(entries, opened, strict=True)}
        (items,) = self.open_items([row])
        return DeliveryRecord(
            delivery=self.to_delivery(row, items),
            log=tuple(_attempt(entry, details.get(id(entry))) for entry in row.get("log", ())),
            leased="token" in row,
            events=row.get("n", 1),
        )

    def log_entries(self, attempts: Sequence[tuple[Delivery, Attempt]]) -> list[Document]:
        """Attempts as they are stored; what their detail is sealed with is the delivery's matter."""
        sealed = self._seal_details(attempts)
        return [_entry(attempt, detail) for (_, attempt), detail in zip(attempts, sealed, strict=True)]

    def _seal_details(self, attempts: Sequence[tuple[Delivery, Attempt]]) -> list[bytes | None]:
        items = [
            (
                delivery.brand_id,
                delivery.items[0].key_id,
                orjson.dumps({"url": attempt.url, "response": "" if delivery.batch_id else attempt.response}),
            )
            for delivery, attempt in attempts
        ]
        try:
            return self._vault.seal_under(_PURPOSE, items)
        except TelltaleError as error:
            # What a delivery's state is does not depend on its log: without this it would be sent once more.
            log_event(
                _log,
                WARNING,
                "delivery_log_not_sealed",
                brand_id=items[0][0],
                rows=len(items),
                error=type(error).__name__,
            )
            return [None] * len(items)


def close_erased(expire_at: datetime) -> Document:
    """The fields of a delivery that is given up because its person was erased."""
    return {"state": DeliveryState.DEAD.value, "closed": "recipient_erased", "expire_at": expire_at}


def _sealed_items(row: Document) -> Iterator[tuple[str, str, bytes]]:
    """(event id, type, sealed body) of each event that a row has with its body."""
    if "body" in row:
        yield row["_id"].partition(":")[0], row["event_type"], bytes(row["body"])
    for item in row.get("items", ()):
        if "s" in item:
            yield item["e"], item["t"], bytes(item["s"])


def _without_bodies(row: Document) -> Iterator[Item]:
    if "items" not in row:
        yield Item(row["_id"].partition(":")[0], row["event_type"], b"")
    for item in row.get("items", ()):
        yield Item(item["e"], item["t"], b"")


def _entry(attempt: Attempt, detail: bytes | None) -> Document:
    entry: dict[str, Any] = {
        "number": attempt.number,
        "started_at": attempt.started_at,
        "seconds": attempt.seconds,
        "outcome": attempt.outcome,
    }
    if detail is not None:
        entry["detail"] = detail
    if attempt.status is not None:
        entry["status"] = attempt.status
    return entry


def _attempt(entry: Document, opened: bytes | None) -> Attempt:
    detail: dict[str, str] = {} if opened is None else orjson.loads(opened)
    return Attempt(
        number=entry["number"],
        started_at=entry["started_at"],
        seconds=entry["seconds"],
        outcome=entry["outcome"],
        status=entry.get("status"),
        url=detail.get("url", ""),
        response=detail.get("response", ""),
    )
