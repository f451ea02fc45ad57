"""What is asked of `deliveries` besides sending them: the log that brands see, and how many wait."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from pymongo import DESCENDING
from pymongo.collection import Collection as Mongo

from app.models.delivery import DeliveryState
from app.storage.client import Document, translated
from app.storage.delivery_rows import DeliveryRecord, DeliveryRows

_LISTED = {"body": 0, "items.s": 0, "log.detail": 0}


class DeliveryLog:
    """The reading half of `Deliveries`."""

    _rows: Mongo[Document]
    _convert: DeliveryRows

    def list_for_brand(
        self,
        brand_id: str,
        *,
        limit: int,
        before: str | None = None,
        endpoint_id: str | None = None,
        state: DeliveryState | None = None,
    ) -> list[DeliveryRecord]:
        """A page of a brand's deliveries, newest event first, without bodies, URLs and answers (`find` has them).

        Args:
            before: the last id of the page before.
        """
        query: dict[str, Any] = {"brand_id": brand_id}
        if before is not None:
            query["_id"] = {"$lt": before}
        if endpoint_id is not None:
            query["endpoint_id"] = endpoint_id
        if state is not None:
            query["state"] = state.value
        with translated():
            rows = list(self._rows.find(query, _LISTED).sort("_id", DESCENDING).limit(limit))
        return [self._convert.to_record(row) for row in rows]

    def find(self, brand_id: str, delivery_id: str) -> DeliveryRecord | None:
        """One delivery with everything that is known of it."""
        with translated():
            row = self._rows.find_one({"_id": delivery_id, "brand_id": brand_id})
        return None if row is None else self._convert.to_record(row)

    def page_ids(
        self,
        brand_id: str,
        endpoint_id: str | None,
        states: Collection[DeliveryState],
        *,
        since: datetime,
        until: datetime,
        after: str | None,
        limit: int,
    ) -> list[str]:
        """Ids of deliveries made within a time, in their order; fewer than `limit` only at the end.

        Args:
            after: the last id of the page before.
        """
        query = _made(brand_id, endpoint_id, states, since, until)
        if after is not None:
            query["_id"] = {"$gt": after}
        with translated():
            return [
                row["_id"] for row in self._rows.find(query, {"_id": 1}).sort("_id", 1).limit(limit).hint(_hint(states))
            ]

    def count(
        self,
        brand_id: str,
        endpoint_id: str | None,
        states: Collection[DeliveryState],
        *,
        since: datetime,
        until: datetime,
        most: int = 1_000_000,
    ) -> tuple[int, int]:
        """(deliveries, events in them) made within a time; of the first `most` deliveries."""
        pipeline: Sequence[dict[str, Any]] = [
            {"$match": _made(brand_id, endpoint_id, states, since, until)},
            {"$limit": most},
            {"$group": {"_id": None, "rows": {"$sum": 1}, "events": {"$sum": {"$ifNull": ["$n", 1]}}}},
        ]
        with translated():
            found = next(self._rows.aggregate(pipeline, hint=_hint(states)), None)
        return (found["rows"], found["events"]) if found else (0, 0)

    def count_under(self, brand_id: str, key_number: int) -> int:
        """How many rows need one of the brand's keys or one before it to be read completely.

        A row's log may be sealed under a later key than its body, so older rows count as well. Rows from before rows
        knew their key are found by looking at all of the brand's.
        """
        with translated():
            counted = self._rows.count_documents(
                {"brand_id": {"$eq": brand_id}, "kn": {"$gt": 0, "$lte": key_number}}, hint="by_key"
            )
            unmarked = {"brand_id": {"$eq": brand_id}, "kn": {"$exists": False}, "body": {"$exists": True}}
            return counted + self._rows.count_documents(unmarked, hint="by_brand")

    def counts_by_state(self) -> dict[DeliveryState, int]:
        """How many rows are in which state. Those delivered or queued are what remains."""
        with translated():
            pending = self._rows.count_documents({"state": DeliveryState.PENDING.value}, hint="due")
            dead, parked = (
                self._rows.count_documents({"state": state.value}, hint="set_aside")
                for state in (DeliveryState.DEAD, DeliveryState.PARKED)
            )
            total = self._rows.estimated_document_count()
        return {
            DeliveryState.PENDING: pending,
            DeliveryState.PARKED: parked,
            DeliveryState.DEAD: dead,
            DeliveryState.DELIVERED: max(0, total - pending - parked - dead),
        }


def _made(
    brand_id: str, endpoint_id: str | None, states: Collection[DeliveryState], since: datetime, until: datetime
) -> dict[str, Any]:
    query: dict[str, Any] = {
        "brand_id": {"$eq": brand_id},
        "state": {"$in": sorted(state.value for state in states)},
        "created_at": {"$gte": since, "$lt": until},
    }
    if endpoint_id is not None:
        query["endpoint_id"] = {"$eq": endpoint_id}
    return query


def _hint(states: Collection[DeliveryState]) -> str:
    """Dead and parked ones have an index of their own, which is small."""
    return "set_aside" if set(states) <= {DeliveryState.DEAD, DeliveryState.PARKED} else "by_brand"
