"""The collection `endpoint_turns`: which endpoint is being worked on, and which rests. One small document per endpoint.

A turn keeps several workers from holding on to one endpoint (its limit of requests in flight is per run, and a dead
endpoint must not take every worker). It is a courtesy, not a lock: what makes double delivery impossible are the
fenced claims in `deliveries`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.storage.client import Document, translated


class EndpointTurns:
    """Every method raises `StoreUnavailable` when MongoDB does not answer in time."""

    COLLECTION = "endpoint_turns"

    def __init__(self, database: Database[Document]) -> None:
        self._turns = database[self.COLLECTION]

    def take(self, brand_id: str, endpoint_id: str, *, token: str, now: datetime, seconds: float) -> bool:
        """Take the endpoint; False while another run has it or it rests."""
        key = _key(brand_id, endpoint_id)
        turn = {"until": now + timedelta(seconds=seconds), "token": token}
        with translated():
            try:
                self._turns.update_one(
                    {"_id": key, "until": {"$lte": now}}, {"$set": turn, "$unset": {"woken_until": ""}}, upsert=True
                )
            except DuplicateKeyError:  # the document is there and its time is not over
                return False
        return True

    def keep(self, brand_id: str, endpoint_id: str, *, token: str, now: datetime, seconds: float) -> bool:
        """Lengthen a turn; False when it is no longer ours."""
        with translated():
            result = self._turns.update_one(
                {"_id": _key(brand_id, endpoint_id), "token": token},
                {"$set": {"until": now + timedelta(seconds=seconds)}},
            )
        return result.matched_count == 1

    def end(self, brand_id: str, endpoint_id: str, *, token: str, now: datetime, pause_seconds: float) -> None:
        """Give a turn back; the endpoint rests for `pause_seconds` before anyone may take it."""
        with translated():
            self._turns.update_one(
                {"_id": _key(brand_id, endpoint_id), "token": token},
                {"$set": {"until": now + timedelta(seconds=pause_seconds)}, "$unset": {"token": ""}},
            )

    def pause(self, brand_id: str, endpoint_id: str, *, until: datetime) -> None:
        """Let an endpoint rest, whoever has it."""
        with translated():
            self._turns.update_one(
                {"_id": _key(brand_id, endpoint_id)}, {"$set": {"until": until}, "$unset": {"token": ""}}, upsert=True
            )

    def mark_woken(self, endpoints: Sequence[tuple[str, str]], *, now: datetime, seconds: float) -> None:
        """Note that a task for each endpoint is about to be queued, so that no second one is until it has begun.

        The mark ends by itself, because the queue may lose the task.
        """
        if not endpoints:
            return
        mark = {
            "$set": {"woken_until": now + timedelta(seconds=seconds)},
            "$setOnInsert": {"until": now},
        }
        with translated():
            self._turns.bulk_write(
                [UpdateOne({"_id": _key(*endpoint)}, mark, upsert=True) for endpoint in endpoints], ordered=False
            )

    def unmark_woken(self, endpoints: Sequence[tuple[str, str]]) -> None:
        """Take the marks back: the tasks could not be queued."""
        with translated():
            self._turns.update_many(
                {"_id": {"$in": [_key(*endpoint) for endpoint in endpoints]}}, {"$unset": {"woken_until": ""}}
            )

    def taken(self, now: datetime) -> set[tuple[str, str]]:
        """The endpoints that nobody may take now, or for which a task is queued."""
        query = {"$or": [{"until": {"$gt": now}}, {"woken_until": {"$gt": now}}]}
        with translated():
            return {
                (document["_id"]["brand_id"], document["_id"]["endpoint_id"])
                for document in self._turns.find(query, {"_id": 1})
            }


def _key(brand_id: str, endpoint_id: str) -> dict[str, str]:
    # Both: an endpoint's id from brands.yaml is unique only within its brand.
    return {"brand_id": brand_id, "endpoint_id": endpoint_id}
