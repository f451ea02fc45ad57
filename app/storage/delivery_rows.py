"""A delivery as a document of the collection `deliveries` and back: what is sealed, and what its log holds.

Body, URLs and answers are sealed with the key of the person whom the event is about: when that key is erased, so are
they. `kn` is the number of the brand's key that must stay for the body, 0 when the person's key sealed it.
Claims, results and pages are in `deliveries`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson
from pymongo import UpdateOne

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
    closed: str = ""
    """Why it was given up without using up its attempts: `recipient_erased`, `endpoint_removed`, `unreadable`."""


class DeliveryRows:
    """Documents in, models out, and back; what is sealed or opened together takes one query for the keys."""

    def __init__(self, vault: Vault, kept_for: KeptFor) -> None:
        self._vault = vault
        self._kept_for = kept_for

    def results(self, results: Sequence[tuple[Delivery, Attempt]], token: str, now: datetime) -> list[UpdateOne]:
        """One update for each delivery as it is now, with the log entry of its attempt."""
        details = self._seal_details(results)
        return [
            _result(delivery, attempt, detail, token, now + self._kept_for(delivery.brand_id))
            for (delivery, attempt), detail in zip(results, details, strict=True)
        ]

    def _seal_details(self, results: Sequence[tuple[Delivery, Attempt]]) -> list[bytes | None]:
        items = [
            (
                delivery.brand_id,
                delivery.items[0].key_id,
                orjson.dumps({"url": attempt.url, "response": attempt.response}),
            )
            for delivery, attempt in results
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

    def to_documents(self, deliveries: Sequence[Delivery], held: HeldKeys | None = None) -> list[Document]:
        """What is stored of new deliveries. Those whose person is erased meanwhile are closed before they begin."""
        bodies = self._vault.seal_under(
            _PURPOSE, [(delivery.brand_id, delivery.items[0].key_id, delivery.body) for delivery in deliveries], held
        )
        return [self._to_document(delivery, body) for delivery, body in zip(deliveries, bodies, strict=True)]

    def _to_document(self, delivery: Delivery, body: bytes | None) -> Document:
        document: Document = {
            "_id": delivery.id,
            "brand_id": delivery.brand_id,
            "endpoint_id": delivery.endpoint_id,
            "event_type": delivery.event_type,
            "created_at": delivery.created_at,
            "next_attempt_at": delivery.next_attempt_at,
            "attempts": delivery.attempts,
        }
        if body is None:
            return {**document, **close_erased(delivery.created_at + self._kept_for(delivery.brand_id))}
        document |= {
            "state": delivery.state.value,
            "due_at": delivery.next_attempt_at,
            "body": body,
            "kn": self._vault.number_of(body),
        }
        return document

    def open_bodies(self, rows: Sequence[Document]) -> list[bytes | None]:
        """The bodies of rows; None where the person is erased, with the key or with the body itself.

        Raises:
            PermanentError: one of them cannot be opened.
        """
        held = [row for row in rows if "body" in row]
        opened = self._vault.open_many(_PURPOSE, [(row["brand_id"], bytes(row["body"])) for row in held])
        bodies = {row["_id"]: body for row, body in zip(held, opened, strict=True)}
        return [bodies.get(row["_id"]) for row in rows]

    def to_delivery(self, row: Document, body: bytes) -> Delivery:
        return Delivery(
            id=row["_id"],
            endpoint_id=row["endpoint_id"],
            brand_id=row["brand_id"],
            items=(
                Item(
                    row["_id"].partition(":")[0],
                    row["event_type"],
                    body,
                    self._vault.key_id_of(bytes(row["body"])) if "body" in row else b"",
                ),
            ),
            created_at=row["created_at"],
            next_attempt_at=row["next_attempt_at"],
            attempts=row["attempts"],
            state=DeliveryState(row["state"]),
        )

    def to_record(self, row: Document) -> DeliveryRecord:
        """A row, with or without what is sealed in it."""
        entries = row.get("log", ())
        holders = [holder for holder in (row, *entries) if "body" in holder or "detail" in holder]
        sealed = [(row["brand_id"], bytes(holder.get("body") or holder["detail"])) for holder in holders]
        opened = {id(holder): raw for holder, raw in zip(holders, self._vault.open_many(_PURPOSE, sealed), strict=True)}
        return DeliveryRecord(
            delivery=self.to_delivery(row, opened.get(id(row)) or b""),
            log=tuple(_attempt(entry, opened.get(id(entry))) for entry in entries),
            leased="token" in row,
            closed=row.get("closed", ""),
        )


def close_erased(expire_at: datetime) -> Document:
    """The fields of a delivery that is given up because its person was erased."""
    return {"state": DeliveryState.DEAD.value, "closed": "recipient_erased", "expire_at": expire_at}


def _result(delivery: Delivery, attempt: Attempt, detail: bytes | None, token: str, expire_at: datetime) -> UpdateOne:
    changes: dict[str, Any] = {"state": delivery.state.value, "attempts": delivery.attempts}
    gone = {"token": ""}
    if delivery.state is DeliveryState.PENDING:
        changes["next_attempt_at"] = changes["due_at"] = delivery.next_attempt_at
    else:
        changes["expire_at"] = expire_at
        gone["due_at"] = ""
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
    return UpdateOne(
        {"_id": delivery.id, "token": token, "state": DeliveryState.PENDING.value},
        {"$set": changes, "$unset": gone, "$push": {"log": {"$each": [entry], "$slice": -MAX_LOG}}},
    )


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
