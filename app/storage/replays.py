"""The collection `replays`: which deliveries are sent again, how far that came, and who may stop it.

`due_at` is as in `deliveries`: when a replay goes on, or the end of the lease of the worker that has it. What a replay
does to deliveries is `app.webhooks.replay`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.errors import Conflict
from app.lib import ids
from app.models.delivery import DeliveryState
from app.models.replay import Replay, ReplayState, Selection
from app.storage.client import Document, translated

ID_PREFIX = "rpl_"
MAX_RUNNING = 5
"""Of one brand at a time."""
KEPT_FOR = timedelta(days=30)
_RUNNING = ReplayState.RUNNING.value


def new_replay_id() -> str:
    """A fresh id, `rpl_` and 26 characters."""
    return ID_PREFIX + ids.to_text(ids.new_id())


class Replays:
    """Every method raises `StoreUnavailable` when MongoDB does not answer in time."""

    COLLECTION = "replays"
    INDEXES = (
        # `place` is 0…4 and only of running ones: the index, not a count, is what bounds a brand.
        IndexModel(
            [("brand_id", ASCENDING), ("place", ASCENDING)],
            name="running",
            unique=True,
            partialFilterExpression={"state": _RUNNING},
        ),
        IndexModel([("due_at", ASCENDING)], name="due", partialFilterExpression={"state": _RUNNING}),
        IndexModel([("brand_id", ASCENDING), ("_id", DESCENDING)], name="by_brand"),
        IndexModel([("expire_at", ASCENDING)], name="ttl", sparse=True, expireAfterSeconds=0),
    )

    def __init__(self, database: Database[Document]) -> None:
        self._replays = database[self.COLLECTION]

    def insert(self, replay: Replay) -> None:
        """Store a new replay, to be carried out from now on; storing the same id again changes nothing.

        Raises:
            Conflict: the brand has 5 running.
        """
        document = _to_document(replay)
        with translated():
            for _ in range(MAX_RUNNING):
                if self._replays.find_one({"_id": replay.id}, {"_id": 1}) is not None:
                    return
                running = self._replays.find({"brand_id": replay.brand_id, "state": _RUNNING}, {"place": 1})
                free = sorted(set(range(MAX_RUNNING)) - {row["place"] for row in running})
                if not free:
                    break
                try:
                    self._replays.insert_one({**document, "place": free[0]})
                except DuplicateKeyError:
                    continue  # somebody took the place or stored the same replay, look again
                return
        raise Conflict(f"A brand has at most {MAX_RUNNING} replays running.", code="too_many_replays")

    def get(self, brand_id: str, replay_id: str) -> Replay | None:
        with translated():
            document = self._replays.find_one({"_id": replay_id, "brand_id": brand_id})
        return None if document is None else _from_document(document)

    def list_for_brand(self, brand_id: str, limit: int = 100) -> list[Replay]:
        """A brand's last replays, newest first."""
        with translated():
            found = list(self._replays.find({"brand_id": brand_id}).sort("_id", DESCENDING).limit(limit))
        return [_from_document(document) for document in found]

    def cancel(self, brand_id: str, replay_id: str, *, now: datetime) -> bool:
        """Stop a running replay; what it has made due already is sent. False when it does not run."""
        ended = _ended(ReplayState.CANCELLED, now)
        with translated():
            changed = self._replays.update_one({"_id": replay_id, "brand_id": brand_id, "state": _RUNNING}, ended)
        return changed.matched_count == 1

    def count_running(self) -> int:
        """Of all brands."""
        with translated():
            return self._replays.count_documents({"state": _RUNNING}, hint="due")

    def claim(self, *, now: datetime, lease_seconds: float, token: str) -> Replay | None:
        """Take the running replay that has waited longest; None when none is due."""
        with translated():
            document = self._replays.find_one_and_update(
                {"state": _RUNNING, "due_at": {"$lte": now}},
                {"$set": {"due_at": now + timedelta(seconds=lease_seconds), "token": token}},
                sort=[("due_at", ASCENDING)],
                return_document=True,
            )
        return None if document is None else _from_document(document)

    def save(self, replay: Replay, *, token: str, due_at: datetime) -> bool:
        """Store how far a claimed replay came; False when it was cancelled or another worker has it.

        Args:
            due_at: when it may be claimed again.
        """
        progress = {"after": replay.after, "page": list(replay.page), "done": replay.done, "paced_to": replay.paced_to}
        return self._update(replay, token, {"$set": {**progress, "due_at": due_at}})

    def finish(self, replay: Replay, *, token: str, now: datetime) -> bool:
        """Store that a claimed replay is done; False as `save`."""
        change = _ended(ReplayState.DONE, now)
        return self._update(replay, token, {**change, "$set": {**change["$set"], "done": replay.done, "page": []}})

    def _update(self, replay: Replay, token: str, change: Document) -> bool:
        with translated():
            changed = self._replays.update_one({"_id": replay.id, "token": token, "state": _RUNNING}, change)
        return changed.matched_count == 1


def _ended(state: ReplayState, now: datetime) -> Document:
    return {
        "$set": {"state": state.value, "finished_at": now, "expire_at": now + KEPT_FOR},
        "$unset": {"due_at": "", "token": ""},
    }


def _to_document(replay: Replay) -> Document:
    selection = replay.selection
    return {
        "_id": replay.id,
        "brand_id": replay.brand_id,
        "endpoint_id": selection.endpoint_id,
        "states": sorted(selection.states),
        "since": selection.since,
        "until": selection.until,
        "event_ids": list(selection.event_ids),
        "created_at": replay.created_at,
        "due_at": replay.created_at,
        "total": replay.total,
        "done": replay.done,
        "state": replay.state.value,
        "after": replay.after,
        "page": list(replay.page),
        "paced_to": replay.paced_to,
    }


def _from_document(document: Document) -> Replay:
    selection = Selection(
        endpoint_id=document["endpoint_id"],
        states=frozenset(DeliveryState(state) for state in document["states"]),
        since=document["since"],
        until=document["until"],
        event_ids=tuple(document["event_ids"]),
    )
    return Replay(
        id=document["_id"],
        brand_id=document["brand_id"],
        selection=selection,
        created_at=document["created_at"],
        total=document["total"],
        done=document["done"],
        state=ReplayState(document["state"]),
        finished_at=document.get("finished_at"),
        after=document["after"],
        page=tuple(document["page"]),
        paced_to=document["paced_to"],
    )
