"""The collection `deliveries`: what is to be told to whom, when it is due, and how each attempt went.

This is the schedule: no delivery waits in a broker. Two ideas carry it.

`due_at` is what claims look at. It is `next_attempt_at` while a delivery waits, and the end of the lease while a worker
has it, so one indexed comparison finds both what is due and what a killed worker left behind. A claim writes a fencing
`token`; a result is stored only under that token.

The log of attempts lies in the row (at most 12): result and log are one write, so no crash can separate them, and they
expire together. Bodies, URLs and answers are sealed (`delivery_rows`). Shard key: `{endpoint_id: 1, _id: 1}`, which
keeps a claim on few shards and a flooding endpoint splittable.

A row is one request: an event, or a batch of them. A batch that nobody has claimed may take others in
(`delivery_batches`); from its first claim on it is frozen, because it may have been sent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from bson import MaxKey
from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne
from pymongo.database import Database

from app.errors import ConfigurationError, PermanentError
from app.lib.log import INFO, WARNING, log_event
from app.models.delivery import Batching, Delivery, DeliveryState, Item, Result
from app.models.recipient_key import HeldKeys
from app.storage.client import Document, insert_new, translated
from app.storage.delivery_batches import choose, merges, without_erased
from app.storage.delivery_log import DeliveryLog
from app.storage.delivery_rows import KEPT_FOR, MAX_LOG, DeliveryRows, KeptFor, Vault
from app.storage.delivery_rows import DeliveryRecord as DeliveryRecord  # noqa: PLC0414 - for readers of this collection
from app.storage.delivery_upkeep import DeliveryUpkeep
from app.storage.endpoint_turns import EndpointTurns

_log = logging.getLogger(__name__)
_DUE = "due"
_PENDING = DeliveryState.PENDING.value
_DEAD = DeliveryState.DEAD.value
_ERASED = "recipient_erased"
_CLAIM_ROUNDS = 10
_MAX_EVENTS = 2_000
"""In the batches of one claim, or one more batch than that."""
_OF_THE_BRAND = {"kn": {"$gt": 0}}
"""Rows that the brand's own key seals: told of no person, or from before persons had keys."""


class Deliveries(DeliveryLog, DeliveryUpkeep):
    """Every method raises `StoreUnavailable` when MongoDB does not answer in time."""

    COLLECTION = "deliveries"
    INDEXES = (
        # Partial, so that it holds what waits and not thirty days of what is done.
        IndexModel(
            [("brand_id", ASCENDING), ("endpoint_id", ASCENDING), ("due_at", ASCENDING)],
            name=_DUE,
            partialFilterExpression={"state": _PENDING},
        ),
        # The line of endpoints that want their events in order; nobody else's rows are in it.
        IndexModel(
            [("brand_id", ASCENDING), ("endpoint_id", ASCENDING), ("_id", ASCENDING)],
            name="line",
            partialFilterExpression={"state": _PENDING, "strict": True},
        ),
        # Ids begin with the event's, so this is newest first. Also the keyset of a page.
        IndexModel([("brand_id", ASCENDING), ("_id", DESCENDING)], name="by_brand"),
        IndexModel(
            [("state", ASCENDING), ("brand_id", ASCENDING), ("_id", DESCENDING)],
            name="set_aside",
            partialFilterExpression={"state": {"$in": [_DEAD, DeliveryState.PARKED.value]}},
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
        self,
        brand_id: str,
        endpoint_id: str,
        *,
        now: datetime,
        lease_seconds: float,
        limit: int,
        token: str,
        batching: Batching | None = None,
        strict: bool = False,
    ) -> list[Delivery]:
        """Lease at most `limit` due deliveries of one endpoint, the longest due first.

        Any number of workers may call this at once: each row is won by one conditional update, and by nobody else
        until the lease ends.

        Args:
            token: unique to this run; results are stored under it only.
            batching: batches are filled with events that wait for others; those alone may also go before they are due.
            strict: only the first in line, and only when it is due.
        """
        for _ in range(_CLAIM_ROUNDS):
            wanted = self._wanted(brand_id, endpoint_id, now=now, limit=limit, batching=batching, strict=strict)
            rows = self._lease(wanted, now=now, lease_seconds=lease_seconds, token=token)
            if batching is not None:
                rows = self._merged(rows, {row["_id"] for row in wanted if not row.get("frozen")}, batching, token)
            claimed = self._open_claimed(rows, now)
            if claimed or not rows:
                return claimed
        return []  # a long row of erased persons: those are closed now, `has_due` tells that there is more

    def _wanted(
        self,
        brand_id: str,
        endpoint_id: str,
        *,
        now: datetime,
        limit: int,
        batching: Batching | None = None,
        strict: bool = False,
    ) -> list[Document]:
        """What a claim would take: id, due time and, of batches, how much is in them."""
        query: Document = {"brand_id": brand_id, "endpoint_id": endpoint_id, "state": _PENDING}
        fields = {"due_at": 1, "n": 1, "frozen": 1}
        with translated():
            if strict:
                line = list(self._rows.find({**query, "strict": True}, fields).sort("_id", 1).limit(1).hint("line"))
                return [row for row in line if row["due_at"] <= now]
            ahead = timedelta() if batching is None else timedelta(seconds=batching.max_wait_seconds)
            query["due_at"] = {"$lte": now + ahead}
            found = list(self._rows.find(query, fields).sort("due_at", ASCENDING).limit(limit).hint(_DUE))
        return found if batching is None else choose(_few(found), now, batching)

    def _lease(self, wanted: Sequence[Document], *, now: datetime, lease_seconds: float, token: str) -> list[Document]:
        if not wanted:
            return []
        ids = [row["_id"] for row in wanted]
        lease = {"due_at": now + timedelta(seconds=lease_seconds), "token": token, "frozen": True}
        free: Document = {"due_at": {"$lte": now}}
        if any(row["due_at"] > now for row in wanted):
            # Not due yet and never claimed: waiting for others to come.
            free = {"$or": [free, {"frozen": {"$exists": False}}]}
        with translated():
            self._rows.update_many({"_id": {"$in": ids}, "state": _PENDING, **free}, {"$set": lease})
            won = list(self._rows.find({"_id": {"$in": ids}, "token": token}, {"log": 0}).batch_size(len(ids) + 1))
        return sorted(won, key=lambda row: (row["next_attempt_at"], row["_id"]))

    def _merged(self, rows: list[Document], fresh: set[str], batching: Batching, token: str) -> list[Document]:
        """The rows, with those nobody can have sent yet joined into fewer."""
        taken_in = merges([row for row in rows if row["_id"] in fresh and "items" in row], batching)
        if not taken_in:
            return rows
        changed: dict[str, Document] = {}
        gone: list[str] = []
        for head, others in taken_in:
            items = [item for row in (head, *others) for item in row["items"]]
            fields = self._convert.batch_fields(head["batch"], items)
            changed[head["_id"]] = fields
            gone += [row["_id"] for row in others]
        with translated():
            # First they are in the one, then they leave the others: a crash in between sends them twice.
            self._rows.bulk_write(
                [UpdateOne({"_id": key, "token": token}, {"$set": fields}) for key, fields in changed.items()],
                ordered=False,
            )
            self._rows.delete_many({"_id": {"$in": gone}, "token": token})
        left = set(gone)
        return [{**row, **changed.get(row["_id"], {})} for row in rows if row["_id"] not in left]

    def record_results(self, results: Sequence[Result], *, token: str, now: datetime) -> int:
        """Store how attempts went: each delivery as it is now (state, attempts, next attempt), and its log entry.

        Answers how many were still ours; the others were claimed again after their lease ended, and stay as they are.
        """
        if not results:
            return 0
        parts = [part for result in results for part in result.parts]
        if parts:
            # Before they leave the row they were in: a crash in between sends them twice.
            self.insert_many(parts)
        tried = [(result.delivery, result.attempt) for result in results if result.attempt is not None]
        entries = iter(self._convert.log_entries(tried))
        changes = [
            self._change(result, None if result.attempt is None else next(entries), token, now) for result in results
        ]
        with translated():
            return self._rows.bulk_write(changes, ordered=False).matched_count

    def _change(self, result: Result, entry: Document | None, token: str, now: datetime) -> UpdateOne:
        delivery = result.delivery
        changes: Document = {"state": delivery.state.value, "attempts": delivery.attempts}
        gone = {"token": ""}
        if delivery.state is DeliveryState.PENDING:
            changes["next_attempt_at"] = changes["due_at"] = delivery.next_attempt_at
        else:
            changes["expire_at"] = self._convert.expire_at(delivery, now)
            gone["due_at"] = ""
        if delivery.closed:
            changes["closed"] = delivery.closed
        if result.parts:
            (kept,) = self._convert.to_documents([delivery])
            changes |= {field: kept[field] for field in ("batch", "n", "items", "kn") if field in kept}
        update: dict[str, Any] = {"$set": changes, "$unset": gone}
        if entry is not None:
            update["$push"] = {"log": {"$each": [entry], "$slice": -MAX_LOG}}
        return UpdateOne({"_id": delivery.id, "token": token, "state": _PENDING}, update)

    def release(self, deliveries: Sequence[Delivery], *, token: str) -> None:
        """Give claimed deliveries back untouched: due when they were due."""
        with translated():
            self._rows.update_many(
                {"_id": {"$in": [delivery.id for delivery in deliveries]}, "token": token, "state": _PENDING},
                [{"$set": {"due_at": "$next_attempt_at"}}, {"$unset": "token"}],
            )

    def has_due(
        self,
        brand_id: str,
        endpoint_id: str,
        *,
        now: datetime,
        batching: Batching | None = None,
        strict: bool = False,
    ) -> bool:
        """Whether a claim would find something now."""
        limit = 1 if batching is None else batching.max_events
        return bool(self._wanted(brand_id, endpoint_id, now=now, limit=limit, batching=batching, strict=strict))

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

    def _open_claimed(self, rows: Sequence[Document], now: datetime) -> list[Delivery]:
        """Claimed rows with what opens of their events; those where nothing does are closed, they would come up again
        for ever."""
        readable, opened = rows, self._opened(rows)
        if opened is None:  # one of them is broken: look at each by itself
            alone = [(row, self._opened([row])) for row in rows]
            self._close([row for row, found in alone if found is None], "unreadable", now)
            readable = [row for row, found in alone if found is not None]
            opened = [items for _, found in alone for items in found or ()]
        self._close([row for row, items in zip(readable, opened, strict=True) if not items], _ERASED, now)
        return [
            self._convert.to_delivery(without_erased(row, len(items)), items)
            for row, items in zip(readable, opened, strict=True)
            if items
        ]

    def _opened(self, rows: Sequence[Document]) -> list[tuple[Item, ...]] | None:
        try:
            return self._convert.open_items(rows)
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
                    "$unset": {"token": "", "due_at": "", **({"body": "", "items": ""} if reason == _ERASED else {})},
                },
            )
        level = INFO if reason == _ERASED else WARNING
        log_event(_log, level, "deliveries_closed", brand_id=rows[0]["brand_id"], reason=reason, deliveries=len(rows))


def _few(rows: Sequence[Document]) -> list[Document]:
    """The first of them, with so many events as are opened at once."""
    events, kept = 0, []
    for row in rows:
        if events >= _MAX_EVENTS:
            break
        events += row.get("n", 1)
        kept.append(row)
    return kept
