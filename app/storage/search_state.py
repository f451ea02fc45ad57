"""How far a brand's events are in the search index: a document in `counters` for each brand.

Whoever indexes claims the brand first. `run` grows with every claim and is the version under which events are put
into the index: what an earlier claim has read can never replace what a later one has.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bson import Int64
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.models.search import SearchPlace, SearchState
from app.storage.client import Document, translated


class SearchStates:
    def __init__(self, database: Database[Document]) -> None:
        self._states = database["counters"]

    def of(self, brand_id: str) -> SearchState | None:
        """How far a brand is; None before its first run."""
        with translated():
            row = self._states.find_one({"_id": {"$eq": _name(brand_id)}})
        return None if row is None else _state(row)

    def claim(self, brand_id: str, now: datetime, seconds: float) -> SearchState | None:
        """The right to index a brand for so long; None while somebody else has it."""
        query = {"_id": {"$eq": _name(brand_id)}, "$or": [{"leased_until": {"$lt": now}}, {"leased_until": None}]}
        change = {"$inc": {"run": 1}, "$set": {"leased_until": now + timedelta(seconds=seconds)}}
        with translated():
            try:
                row = self._states.find_one_and_update(query, change, upsert=True, return_document=True)
            except DuplicateKeyError:
                return None
        return None if row is None else _state(row)

    def advance(self, brand_id: str, run: int, after: SearchPlace | None, until_ms: int) -> bool:
        """Note that everything up to a place is in the index; False when the brand was claimed anew meanwhile.

        Args:
            until_ms: everything recorded before this is found by a search.
        """
        place = None if after is None else [Int64(after[0]), after[1]]
        return self._change(brand_id, run, {"after": place, "until_ms": Int64(until_ms)})

    def expired(self, brand_id: str, run: int, at: datetime) -> bool:
        """Note when what is past keeping was last taken out of the index."""
        return self._change(brand_id, run, {"expired_at": at})

    def release(self, brand_id: str, run: int) -> None:
        self._change(brand_id, run, {"leased_until": None})

    def begin(self, brand_id: str, run: int, generation: str) -> bool:
        """Start over: nothing is in the index.

        Args:
            generation: the name of the index from now on.
        """
        return self._change(
            brand_id, run, {"generation": generation, "after": None, "until_ms": Int64(0), "expired_at": None}
        )

    def start_over(self, brand_id: str) -> None:
        """Have the next run start over, and nobody search the index until it is done. Who indexes now stops."""
        change = {"$inc": {"run": 1}, "$set": {"generation": "", "leased_until": None, "until_ms": Int64(0)}}
        with translated():
            self._states.update_one({"_id": {"$eq": _name(brand_id)}}, change, upsert=True)

    def _change(self, brand_id: str, run: int, fields: Document) -> bool:
        query = {"_id": {"$eq": _name(brand_id)}, "run": run}
        with translated():
            return self._states.update_one(query, {"$set": fields}).matched_count == 1


def _state(row: Document) -> SearchState:
    after = row.get("after")
    return SearchState(
        run=int(row["run"]),
        generation=row.get("generation", ""),
        after=None if after is None else (int(after[0]), bytes(after[1])),
        until_ms=int(row.get("until_ms", 0)),
        expired_at=row.get("expired_at"),
    )


def _name(brand_id: str) -> str:
    return f"search:{brand_id}"
