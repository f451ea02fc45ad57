"""The collection `deliveries`: what is to be told to whom, when it is due, and how each attempt went.

This is the schedule: no delivery waits in a broker. Two ideas carry it.

`due_at` is what claims look at. It is `next_attempt_at` while a delivery waits, and the end of the lease while a worker
has it, so one indexed comparison finds both what is due and what a killed worker left behind. A claim writes a fencing
`token`; a result is stored only under that token.

The log of attempts lies in the row (at most 12): result and log are one write, so no crash can separate them, and they
expire together. Bodies, URLs and answers are sealed (`delivery_rows`). Shard key: `{endpoint_id: 1, _id: 1}`, which
keeps a claim on few shards and a flooding endpoint splittable.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from bson import MaxKey
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.database import Database

from app.errors import ConfigurationError, PermanentError
from app.lib import clock
from app.lib.log import INFO, WARNING, log_event
from app.models.delivery import Attempt, Delivery, DeliveryState
from app.models.recipient_key import HeldKeys
from app.storage.client import Document, insert_new, translated
from app.storage.delivery_rows import KEPT_FOR, DeliveryRows, KeptFor, Vault, close_erased
from app.storage.delivery_rows import DeliveryRecord as DeliveryRecord  # noqa: PLC0414 - for readers of this collection
from app.storage.endpoint_turns import EndpointTurns

_log = logging.getLogger(__name__)
_DUE = "due"
_PENDING = DeliveryState.PENDING.value
_DEAD = DeliveryState.DEAD.value
_ERASED = "recipient_erased"
_CLAIM_ROUNDS = 10
_OF_THE_BRAND = {"kn": {"$gt": 0}}
"""Rows that the brand's own key seals: told of no person, or from before persons had keys."""


class Deliveries:
    """Every method raises `StoreUnavailable` when MongoDB does not answer in time."""

    COLLECTION = "deliveries"
    INDEXES = (
        # Partial, so that it holds what waits and not thirty days of what is done.
        IndexModel(
            [("brand_id", ASCENDING), ("endpoint_id", ASCENDING), ("due_at", ASCENDING)],
            name=_DUE,
            partialFilterExpression={"state": _PENDING},
        ),
        # Ids begin with the event's, so this is newest first. Also the keyset of a page.
        IndexModel([("brand_id", ASCENDING), ("_id", DESCENDING)], name="by_brand"),
        IndexModel(
            [("brand_id", ASCENDING), ("_id", DESCENDING)], name="dead", partialFilterExpression={"state": _DEAD}
        ),
        IndexModel([("expire_at", ASCENDING)], name="ttl", sparse=True, expireAfterSeconds=0),
        IndexModel([("brand_id", ASCENDING), ("kn", ASCENDING)], name="by_key", partialFilterExpression=_OF_THE_BRAND),
    )

    def __init__(
        self, database: Database[Document], vault: Vault, kept_for: KeptFor = lambda _brand_id: KEPT_FOR
    ) -> None:
        self._rows = database[self.COLLECTION]
        self._convert = DeliveryRows(vault, kept_for)
        self._kept_for = kept_for
        self.turns = EndpointTurns(database)

    def insert_many(self, deliveries: Iterable[Delivery], held: HeldKeys | None = None) -> int:
        """Store new deliveries; those that are there already stay as they are. Answers how many were new.

        Args:
            held: keys that the same call has read already (`Vault.seal_under`).
        """
        documents = self._convert.to_documents(list(deliveries), held)
        return len(documents) - len(insert_new(self._rows, documents))

    def claim(
        self, brand_id: str, endpoint_id: str, *, now: datetime, lease_seconds: float, limit: int, token: str
    ) -> list[Delivery]:
        """Lease at most `limit` due deliveries of one endpoint, the longest due first.

        Any number of workers may call this at once: each row is won by one conditional update, and by nobody else
        until the lease ends.

        Args:
            token: unique to this run; results are stored under it only.
        """
        for _ in range(_CLAIM_ROUNDS):
            rows = self._lease(brand_id, endpoint_id, now=now, lease_seconds=lease_seconds, limit=limit, token=token)
            claimed = self._open_claimed(rows, now)
            if claimed or not rows:
                return claimed
        return []  # a long row of erased persons: those are closed now, `has_due` tells that there is more

    def _lease(
        self, brand_id: str, endpoint_id: str, *, now: datetime, lease_seconds: float, limit: int, token: str
    ) -> list[Document]:
        due = {"state": _PENDING, "due_at": {"$lte": now}}
        with translated():
            found = self._rows.find({"brand_id": brand_id, "endpoint_id": endpoint_id, **due}, {"_id": 1})
            ids = [row["_id"] for row in found.sort("due_at", ASCENDING).limit(limit).hint(_DUE)]
            if not ids:
                return []
            lease = {"due_at": now + timedelta(seconds=lease_seconds), "token": token}
            self._rows.update_many({"_id": {"$in": ids}, **due}, {"$set": lease})
            won = list(self._rows.find({"_id": {"$in": ids}, "token": token}, {"log": 0}))
        return sorted(won, key=lambda row: (row["next_attempt_at"], row["_id"]))

    def record_results(self, results: Sequence[tuple[Delivery, Attempt]], *, token: str, now: datetime) -> int:
        """Store how attempts went: each delivery as it is now (state, attempts, next attempt), and its log entry.

        Answers how many were still ours; the others were claimed again after their lease ended, and stay as they are.
        """
        if not results:
            return 0
        changes = self._convert.results(results, token, now)
        with translated():
            return self._rows.bulk_write(changes, ordered=False).matched_count

    def release(self, deliveries: Sequence[Delivery], *, token: str) -> None:
        """Give claimed deliveries back untouched: due when they were due."""
        with translated():
            self._rows.update_many(
                {"_id": {"$in": [delivery.id for delivery in deliveries]}, "token": token, "state": _PENDING},
                [{"$set": {"due_at": "$next_attempt_at"}}, {"$unset": "token"}],
            )

    def has_due(self, brand_id: str, endpoint_id: str, *, now: datetime) -> bool:
        """Whether a claim would find something now."""
        query = {"brand_id": brand_id, "endpoint_id": endpoint_id, "state": _PENDING, "due_at": {"$lte": now}}
        with translated():
            return next(self._rows.find(query, {"_id": 1}).hint(_DUE).limit(1), None) is not None

    def endpoints_due(
        self, now: datetime, limit: int, *, after: tuple[str, str] | None = None
    ) -> list[tuple[str, str]]:
        """(brand id, endpoint id) of endpoints with due work that nobody has, in their order.

        Without those that rest and those that have been woken already. One index seek per endpoint with waiting work,
        however much waits.

        Args:
            after: the last of the page before.
        """
        taken = self.turns.taken(now)
        due: list[tuple[str, str]] = []
        while len(due) < limit:
            query = self._rows.find({"state": _PENDING}, {"_id": 0, "brand_id": 1, "endpoint_id": 1, "due_at": 1})
            query = query.hint(_DUE).sort([("brand_id", 1), ("endpoint_id", 1), ("due_at", 1)]).limit(1)
            if after is not None:
                last: list[Any] = [("brand_id", after[0]), ("endpoint_id", after[1]), ("due_at", MaxKey())]
                query = query.min(last)
            with translated():
                row = next(query, None)
            if row is None:
                break
            after = (row["brand_id"], row["endpoint_id"])
            if row["due_at"] <= now and after not in taken:
                due.append(after)
        return due

    def cancel(self, brand_id: str, endpoint_id: str, *, created_before: datetime, now: datetime) -> int:
        """Close waiting deliveries of an endpoint that is gone, as dead. Answers how many."""
        with translated():
            return self._rows.update_many(
                {
                    "brand_id": brand_id,
                    "endpoint_id": endpoint_id,
                    "state": _PENDING,
                    "created_at": {"$lt": created_before},
                },
                {
                    "$set": {"state": _DEAD, "closed": "endpoint_removed", "expire_at": now + self._kept_for(brand_id)},
                    "$unset": {"token": "", "due_at": ""},
                },
                hint=_DUE,
            ).modified_count

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
            rows = list(self._rows.find(query, {"body": 0, "log.detail": 0}).sort("_id", DESCENDING).limit(limit))
        return [self._convert.to_record(row) for row in rows]

    def find(self, brand_id: str, delivery_id: str) -> DeliveryRecord | None:
        """One delivery with everything that is known of it."""
        with translated():
            row = self._rows.find_one({"_id": delivery_id, "brand_id": brand_id})
        return None if row is None else self._convert.to_record(row)

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
            "$or": [{"_id": {"$gt": f"{event_id}:", "$lt": f"{event_id};"}} for event_id in event_ids],
        }
        with translated():
            self._rows.update_many(
                {**rows, "state": _PENDING},
                {"$set": close_erased(clock.now() + self._kept_for(brand_id)), "$unset": {"token": "", "due_at": ""}},
            )
            return self._rows.update_many(rows, {"$unset": {"body": "", "log": ""}}).modified_count

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
        """How many rows are in which state. Waiting and dead ones are counted, delivered ones are what remains."""
        with translated():
            pending = self._rows.count_documents({"state": _PENDING}, hint=_DUE)
            dead = self._rows.count_documents({"state": _DEAD}, hint="dead")
            total = self._rows.estimated_document_count()
        return {
            DeliveryState.PENDING: pending,
            DeliveryState.DEAD: dead,
            DeliveryState.DELIVERED: max(0, total - pending - dead),
        }

    def _open_claimed(self, rows: Sequence[Document], now: datetime) -> list[Delivery]:
        """Claimed rows whose body opens; the others are closed, they would come up again for ever."""
        readable, bodies = rows, self._bodies(rows)
        if bodies is None:  # one of them is broken: look at each by itself
            alone = [(row, self._bodies([row])) for row in rows]
            self._close([row for row, found in alone if found is None], "unreadable", now)
            readable = [row for row, found in alone if found is not None]
            bodies = [body for _, found in alone for body in found or ()]
        gone = [row for row, body in zip(readable, bodies, strict=True) if body is None]
        self._close(gone, _ERASED, now)
        return [
            self._convert.to_delivery(row, body) for row, body in zip(readable, bodies, strict=True) if body is not None
        ]

    def _bodies(self, rows: Sequence[Document]) -> list[bytes | None] | None:
        try:
            return self._convert.open_bodies(rows)
        except ConfigurationError:
            raise  # a master key is missing: the operator's to mend, no reason to give anything up
        except PermanentError:
            return None

    def _close(self, rows: Sequence[Document], reason: str, now: datetime) -> None:
        """Give claimed rows up without an attempt."""
        if not rows:
            return
        expire_at = now + self._kept_for(rows[0]["brand_id"])
        with translated():
            self._rows.update_many(
                {"_id": {"$in": [row["_id"] for row in rows]}, "token": rows[0]["token"]},
                {
                    "$set": {"state": _DEAD, "closed": reason, "expire_at": expire_at},
                    "$unset": {"token": "", "due_at": "", **({"body": ""} if reason == _ERASED else {})},
                },
            )
        level = INFO if reason == _ERASED else WARNING
        log_event(_log, level, "deliveries_closed", brand_id=rows[0]["brand_id"], reason=reason, deliveries=len(rows))
