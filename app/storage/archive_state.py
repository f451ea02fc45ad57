"""The collection `archives`: which hours of a brand are archived, how far the one at work is, and whose brands rest.

`_id` is `brand:2026-01-01T13` of an hour, and the brand alone for its rest; the text sorts by time, so no other index
is needed. An hour is claimed for a time; every write of its run asks for the claim, so that a run which lost it (it was
stopped for long, another took over) changes nothing more. Shard key: `_id`, hashed. Kept for ever: a small document
per hour.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from bson import Int64
from pymongo import IndexModel
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.lib import clock
from app.models.archive import ArchivedFile, ArchivedHour, Manifest, Position, Progress
from app.models.event import EventKind
from app.storage.client import Document, translated

CLAIMED_FOR = timedelta(minutes=10)
"""Renewed with every file, each of which is written in seconds."""


class ArchiveState:
    INDEXES: tuple[IndexModel, ...] = ()

    def __init__(self, database: Database[Document]) -> None:
        self._archives = database["archives"]

    def claim(self, brand_id: str, hour: int, now: datetime) -> str | None:
        """A token for whoever may work on an hour now; None when somebody else does."""
        token = secrets.token_hex(8)
        query = {
            "_id": {"$eq": _id(brand_id, hour)},
            "$or": [{"until": {"$lte": now}}, {"until": {"$exists": False}}],
        }
        with translated():
            try:
                self._archives.update_one(query, {"$set": {"token": token, "until": now + CLAIMED_FOR}}, upsert=True)
            except DuplicateKeyError:
                return None
        return token

    def progress(self, brand_id: str, hour: int) -> Progress:
        """How far an hour is written."""
        with translated():
            row = self._archives.find_one({"_id": _id(brand_id, hour)}, {"progress": 1})
        kept = (row or {}).get("progress")
        if not kept:
            return Progress()
        return Progress(
            files=tuple(ArchivedFile(*file) for file in kept["files"]),
            counts={EventKind(name): int(number) for name, number in kept["counts"].items()},
            after=None if kept["after"] is None else Position(int(kept["after"][0]), bytes(kept["after"][1])),
        )

    def save(self, brand_id: str, hour: int, token: str, progress: Progress, now: datetime) -> bool:
        """Keep how far an hour is, and the claim; False when the claim is lost."""
        kept = {
            "files": [list(file) for file in progress.files],
            "counts": _counts(progress.counts),
            "after": None if progress.after is None else [Int64(progress.after[0]), progress.after[1]],
        }
        return self._update(brand_id, hour, token, {"$set": {"progress": kept, "until": now + CLAIMED_FOR}})

    def done(self, manifest: Manifest, sha256: str, token: str, now: datetime) -> bool:
        """An hour is archived, and free; False when the claim was lost.

        Args:
            sha256: of the manifest as it lies in the bucket.
        """
        found = {
            "at": now,
            "counts": _counts(manifest.counts),
            "events": manifest.events,
            "files": [list(file) for file in manifest.files],
            "sha256": sha256,
        }
        change = {"$set": {"done": found}, "$unset": {"progress": "", "token": "", "until": ""}}
        return self._update(manifest.brand_id, manifest.hour, token, change)

    def release(self, brand_id: str, hour: int, token: str) -> None:
        """Let another run take an hour that is not done; what is written of it stays noted."""
        self._update(brand_id, hour, token, {"$unset": {"token": "", "until": ""}})

    def of_hour(self, brand_id: str, hour: int) -> ArchivedHour | None:
        """None: not archived."""
        with translated():
            row = self._archives.find_one({"_id": _id(brand_id, hour), "done": {"$exists": True}})
        return None if row is None else _archived(row)

    def archived(self, brand_id: str, since: int, until: int) -> Iterator[ArchivedHour]:
        """A brand's archived hours in [since, until), by time."""
        span = {"$gte": _id(brand_id, since), "$lt": _id(brand_id, until)}
        with translated(), self._archives.find({"_id": span, "done": {"$exists": True}}).sort("_id", 1) as found:
            for row in found:
                yield _archived(row)

    def rest(self, brand_id: str, until: datetime) -> None:
        """Leave a brand whose bucket fails alone for a while."""
        with translated():
            self._archives.update_one({"_id": {"$eq": brand_id}}, {"$set": {"rest_until": until}}, upsert=True)

    def resting(self, brand_id: str, now: datetime) -> bool:
        with translated():
            return self._archives.find_one({"_id": brand_id, "rest_until": {"$gt": now}}, {"_id": 1}) is not None

    def _update(self, brand_id: str, hour: int, token: str, change: Document) -> bool:
        with translated():
            return self._archives.update_one({"_id": _id(brand_id, hour), "token": token}, change).matched_count == 1


def _id(brand_id: str, hour: int) -> str:
    return f"{brand_id}:{clock.from_ms(hour):%Y-%m-%dT%H}"


def _counts(counts: Mapping[EventKind, int]) -> dict[str, Int64]:
    return {kind.value: Int64(number) for kind, number in counts.items() if number}


def _archived(row: Mapping[str, Any]) -> ArchivedHour:
    done = row["done"]
    start = datetime.fromisoformat(row["_id"].partition(":")[2] + ":00:00+00:00")
    return ArchivedHour(
        hour=int(start.timestamp() * 1000),
        events=int(done["events"]),
        files=len(done["files"]),
        size=sum(int(file[2]) for file in done["files"]),
        manifest_sha256=done["sha256"],
    )
