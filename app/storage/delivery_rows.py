"""A delivery as a document of the collection `deliveries` and back: what is sealed, and what its log holds.

Claims, results and pages are in `deliveries`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson
from bson import Binary
from pymongo import UpdateOne

from app.errors import TelltaleError
from app.lib.log import WARNING, log_event
from app.models.delivery import Attempt, Delivery, DeliveryState
from app.storage.client import Document

MAX_LOG = 12
KEPT_FOR = timedelta(days=30)
"""Delivered and dead rows; as long as they can be replayed."""
_PURPOSE = "delivery"
_log = logging.getLogger(__name__)


class Sealer(Protocol):
    """What `app.privacy.Keyring` offers: authenticated encryption under a brand's key."""

    def seal(self, brand_id: str, purpose: str, plaintext: bytes) -> bytes: ...
    def open(self, brand_id: str, purpose: str, sealed: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery with the log of its attempts, oldest first."""

    delivery: Delivery
    log: tuple[Attempt, ...]
    leased: bool
    """A worker has it right now (or had it when it was killed)."""


class DeliveryRows:
    """Documents in, models out, and back."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def result(self, delivery: Delivery, attempt: Attempt, token: str, now: datetime) -> UpdateOne:
        changes: dict[str, Any] = {"state": delivery.state.value, "attempts": delivery.attempts}
        gone = {"token": ""}
        if delivery.state is DeliveryState.PENDING:
            changes["next_attempt_at"] = changes["due_at"] = delivery.next_attempt_at
        else:
            changes["expire_at"] = now + KEPT_FOR
            gone["due_at"] = ""
        entry: dict[str, Any] = {
            "number": attempt.number,
            "started_at": attempt.started_at,
            "seconds": attempt.seconds,
            "outcome": attempt.outcome,
        }
        detail = self._seal_detail(delivery.brand_id, attempt)
        if detail is not None:
            entry["detail"] = detail
        if attempt.status is not None:
            entry["status"] = attempt.status
        return UpdateOne(
            {"_id": delivery.id, "token": token, "state": DeliveryState.PENDING.value},
            {"$set": changes, "$unset": gone, "$push": {"log": {"$each": [entry], "$slice": -MAX_LOG}}},
        )

    def _seal_detail(self, brand_id: str, attempt: Attempt) -> Binary | None:
        detail = orjson.dumps({"url": attempt.url, "response": attempt.response})
        try:
            return Binary(self._sealer.seal(brand_id, _PURPOSE, detail))
        except TelltaleError as error:
            # What a delivery's state is does not depend on its log: without this it would be sent once more.
            log_event(_log, WARNING, "delivery_log_not_sealed", brand_id=brand_id, error=type(error).__name__)
            return None

    def to_document(self, delivery: Delivery) -> Document:
        return {
            "_id": delivery.id,
            "brand_id": delivery.brand_id,
            "endpoint_id": delivery.endpoint_id,
            "event_type": delivery.event_type,
            "body": Binary(self._sealer.seal(delivery.brand_id, _PURPOSE, delivery.body)),
            "created_at": delivery.created_at,
            "next_attempt_at": delivery.next_attempt_at,
            "due_at": delivery.next_attempt_at,
            "attempts": delivery.attempts,
            "state": delivery.state.value,
        }

    def to_delivery(self, row: Document) -> Delivery:
        brand_id = row["brand_id"]
        return Delivery(
            id=row["_id"],
            endpoint_id=row["endpoint_id"],
            brand_id=brand_id,
            event_id=row["_id"].partition(":")[0],
            event_type=row["event_type"],
            body=self._sealer.open(brand_id, _PURPOSE, bytes(row["body"])) if "body" in row else b"",
            created_at=row["created_at"],
            next_attempt_at=row["next_attempt_at"],
            attempts=row["attempts"],
            state=DeliveryState(row["state"]),
        )

    def to_record(self, row: Document) -> DeliveryRecord:
        log = tuple(self._to_attempt(row["brand_id"], entry) for entry in row.get("log", ()))
        return DeliveryRecord(delivery=self.to_delivery(row), log=log, leased="token" in row)

    def _to_attempt(self, brand_id: str, entry: Document) -> Attempt:
        detail: dict[str, str] = {}
        if "detail" in entry:
            detail = orjson.loads(self._sealer.open(brand_id, _PURPOSE, bytes(entry["detail"])))
        return Attempt(
            number=entry["number"],
            started_at=entry["started_at"],
            seconds=entry["seconds"],
            outcome=entry["outcome"],
            status=entry.get("status"),
            url=detail.get("url", ""),
            response=detail.get("response", ""),
        )
