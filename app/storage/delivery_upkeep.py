"""What is done to waiting deliveries besides sending them: given up, parked, made due again, forgotten."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from pymongo.collection import Collection as Mongo

from app.lib import clock
from app.models.delivery import DeliveryState
from app.storage.client import Document, translated
from app.storage.delivery_rows import KeptFor, close_erased

_PENDING = DeliveryState.PENDING.value
_WITH_BODY = {"$or": [{"body": {"$exists": True}}, {"items": {"$exists": True}}]}


class DeliveryUpkeep:
    """The part of `Deliveries` that changes rows nobody is sending."""

    _rows: Mongo[Document]
    _kept_for: KeptFor

    def cancel(self, brand_id: str, endpoint_id: str, *, created_before: datetime, now: datetime) -> int:
        """Close waiting deliveries of an endpoint that is gone, as dead. Answers how many."""
        closed = {"state": DeliveryState.DEAD.value, "closed": "endpoint_removed"}
        with translated():
            return self._rows.update_many(
                {
                    "brand_id": brand_id,
                    "endpoint_id": endpoint_id,
                    "state": _PENDING,
                    "created_at": {"$lt": created_before},
                },
                {
                    "$set": {**closed, "expire_at": now + self._kept_for(brand_id)},
                    "$unset": {"token": "", "due_at": ""},
                },
                hint="due",
            ).modified_count

    def park(self, brand_id: str, endpoint_id: str, *, now: datetime, limit: int) -> int:
        """Set aside at most `limit` waiting deliveries of a disabled endpoint; a replay sends them. Answers how many.

        Those that a worker holds at this moment it settles itself, and the next call parks what it leaves.
        """
        free: Document = {"state": _PENDING, "$or": [{"token": {"$exists": False}}, {"due_at": {"$lte": now}}]}
        of_endpoint = {"brand_id": {"$eq": brand_id}, "endpoint_id": {"$eq": endpoint_id}}
        parked = {"state": DeliveryState.PARKED.value, "expire_at": now + self._kept_for(brand_id)}
        with translated():
            ids = [row["_id"] for row in self._rows.find({**of_endpoint, **free}, {"_id": 1}).hint("due").limit(limit)]
            if not ids:
                return 0
            changes = {"$set": parked, "$unset": {"due_at": "", "token": ""}}
            return self._rows.update_many({"_id": {"$in": ids}, **free}, changes).modified_count

    def replay(self, brand_id: str, ids: Sequence[str], *, nonce: str, due_at: datetime) -> int:
        """Make deliveries due again, with the same events, bytes and ids and a new count of attempts; answers how many.

        What waits already is left alone, and so is what this replay has made due before.

        Args:
            nonce: of the replay.
        """
        # `closed` gone and a body there: nothing of an erased person comes back.
        query = {
            "_id": {"$in": list(ids)},
            "brand_id": {"$eq": brand_id},
            "state": {"$ne": _PENDING},
            "replayed": {"$ne": nonce},
            **_WITH_BODY,
        }
        with translated():
            return self._rows.update_many(
                query,
                {
                    "$set": {
                        "state": _PENDING,
                        "due_at": due_at,
                        "next_attempt_at": due_at,
                        "attempts": 0,
                        "replayed": nonce,
                        "replayed_at": due_at,
                        "frozen": True,
                    },
                    "$unset": {"expire_at": "", "closed": "", "token": ""},
                },
            ).modified_count

    def forget(self, brand_id: str, event_ids: Collection[str]) -> int:
        """Remove what is personal from the deliveries of an erased person's events, and give up those that wait.

        What a person's key sealed is closed without this; it is for rows that the brand's key seals.

        Args:
            event_ids: `evt_…`, at most a few hundred.
        """
        if not event_ids:
            return 0
        rows: dict[str, Any] = {
            "brand_id": {"$eq": brand_id},
            # A batch goes on without the person's events, which do not open any more.
            "items": {"$exists": False},
            "$or": [{"_id": {"$gt": f"{event_id}:", "$lt": f"{event_id};"}} for event_id in event_ids],
        }
        with translated():
            self._rows.update_many(
                {**rows, "state": _PENDING},
                {"$set": close_erased(clock.now() + self._kept_for(brand_id)), "$unset": {"token": "", "due_at": ""}},
            )
            return self._rows.update_many(rows, {"$unset": {"body": "", "log": ""}}).modified_count
