"""The collection `batches`: the marker of each stored batch, which carries what the batch counted.

A marker is written last, once, under the batch's id, so counting a batch twice is impossible. `compact` adds
markers to `rollups` later, in a transaction that also takes the counts off the markers. A figure is always
rollups + the counts still on markers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import pymongo
from bson import Int64
from pymongo import IndexModel, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.lib import clock
from app.models.count import CountKey
from app.storage.client import Document, translated
from app.storage.count_query import EVERYTHING, LETTERS, CountQuery, key_of_identity, key_of_values

_KEPT = timedelta(days=14)
_COMPACT_SECONDS = 20.0
_READ_SECONDS = 20.0


class Batches:
    """Shard key: hashed `_id`."""

    INDEXES = (
        IndexModel([("open", 1)], sparse=True, name="not_compacted"),
        IndexModel([("expire_at", 1)], expireAfterSeconds=0, name="expire"),
    )
    ROLLUP_INDEXES = (
        IndexModel([("b", 1), ("d", 1)], name="by_day"),
        IndexModel([("b", 1), ("_id.c", 1), ("d", 1)], name="by_campaign"),
    )

    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._batches = database["batches"]
        self._rollups = database["rollups"]

    def mark(self, batch_id: str, counts: Mapping[CountKey, int], *, records: int, dropped: Mapping[str, int]) -> None:
        """Say that everything of a batch is stored. The second call for a batch changes nothing.

        Args:
            records: journal records in the batch.
            dropped: reason → records that became no event.
        """
        now = clock.now()
        marker: Document = {"_id": batch_id, "at": now, "records": records}
        if dropped:
            marker["dropped"] = dict(dropped)
        if counts:
            marker["open"] = now
            marker["counts"] = [[*key, number] for key, number in counts.items()]
        else:
            marker["expire_at"] = now + _KEPT
        with translated():
            try:
                self._batches.insert_one(marker)
            except DuplicateKeyError:
                return  # an earlier run of this batch counted exactly the same events

    def marked(self, batch_ids: Sequence[str]) -> set[str]:
        """Those of the batches that are stored."""
        with translated():
            return {row["_id"] for row in self._batches.find({"_id": {"$in": list(batch_ids)}}, {"_id": 1})}

    def compact(self, limit: int = 500) -> int:
        """Move the counts of at most `limit` markers into the rollups; answers how many markers.

        Two runs at once are safe: the transaction of one of them fails and its markers wait for the next run.
        """
        # The driver retries a transaction for two minutes by itself, whatever timeoutMS says.
        with translated(), pymongo.timeout(_COMPACT_SECONDS), self._database.client.start_session() as session:
            return session.with_transaction(lambda inside: self._compact(inside, limit))

    def _compact(self, session: ClientSession, limit: int) -> int:
        markers = list(
            self._batches.find({"open": {"$exists": True}}, {"counts": 1}, session=session).sort("open").limit(limit)
        )
        if not markers:
            return 0
        totals: Counter[CountKey] = Counter()
        for marker in markers:
            for row in marker["counts"]:
                totals[key_of_values(row[:-1])] += row[-1]
        self._rollups.bulk_write([_increment(key, number) for key, number in totals.items()], session=session)
        ids = [marker["_id"] for marker in markers]
        done = self._batches.update_many(
            {"_id": {"$in": ids}, "open": {"$exists": True}},
            {"$unset": {"open": "", "counts": ""}, "$set": {"expire_at": clock.now() + _KEPT}},
            session=session,
        )
        if done.modified_count != len(ids):
            session.abort_transaction()
            return 0
        return len(ids)

    def figures(
        self, brand_id: str, query: CountQuery = EVERYTHING, *, seconds: float = _READ_SECONDS
    ) -> Counter[CountKey]:
        """What is counted for a brand: rollups and markers of one moment, so nothing is seen twice.

        Raises:
            StoreUnavailable: also when it takes longer than `seconds`.
        """
        totals: Counter[CountKey] = Counter()
        with (
            translated(),
            pymongo.timeout(seconds),
            self._database.client.start_session(snapshot=True) as session,
        ):
            for counts, pipeline in (
                (self._rollups, query.rollups(brand_id)),
                (self._batches, query.markers(brand_id)),
            ):
                for row in counts.aggregate(pipeline, session=session):
                    totals[key_of_identity(row["_id"])] += row["number"]
        return totals

    def campaigns(self, brand_id: str, query: CountQuery, *, most: int, seconds: float = _READ_SECONDS) -> list[str]:
        """The first campaigns by id that anything is counted for; empty text stands for none."""
        with translated(), pymongo.timeout(seconds):
            found = {row["_id"] for row in self._rollups.aggregate(query.campaigns_in_rollups(brand_id, most))}
            found |= {row["_id"] for row in self._batches.aggregate(query.campaigns_in_markers(brand_id, most))}
        return sorted(found)[:most]

    def waiting(self) -> tuple[int, datetime | None]:
        """How many markers are not compacted, and since when the oldest waits."""
        with translated():
            oldest = self._batches.find_one({"open": {"$exists": True}}, {"open": 1}, sort=[("open", 1)])
            return self._batches.count_documents({"open": {"$exists": True}}), oldest["open"] if oldest else None


def _increment(key: CountKey, number: int) -> UpdateOne:
    identity = dict(zip(LETTERS, key, strict=True))
    return UpdateOne(
        {"_id": identity},
        {"$inc": {"count": Int64(number)}, "$setOnInsert": {"b": key.brand_id, "d": key.day}},
        upsert=True,
    )
