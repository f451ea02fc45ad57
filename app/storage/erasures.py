"""Whose hits are served and not stored: the collections `erased_messages` and `erased_people`.

The first holds numbers and nothing else, so a message stays erased also when an older backup brings its document back.
The second holds the keyed hashes of erased people, because a sealed token carries its person with it: the next hit
would register them again. Neither leads to a name or an address.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from bson import Int64
from pymongo import IndexModel
from pymongo.database import Database
from pymongo.errors import BulkWriteError
from pymongo.read_concern import ReadConcern

from app.storage.client import WRITE_CONCERN, Document, translated
from app.storage.messages import only_duplicates


class Erasures:
    """Shard key of both: `_id`, of `erased_messages` ranged, of `erased_people` hashed."""

    INDEXES: tuple[IndexModel, ...] = ()

    def __init__(self, database: Database[Document]) -> None:
        self._erased = database["erased_messages"]
        # Whoever registers looks here after writing, and an erasure writes here before looking: one of the two sees it.
        self._people = database.get_collection(
            "erased_people", read_concern=ReadConcern("majority"), write_concern=WRITE_CONCERN
        )

    def add(self, messages: Collection[int], at: datetime) -> None:
        """Note messages as erased; again is harmless."""
        if not messages:
            return
        with translated():
            try:
                self._erased.insert_many([{"_id": Int64(number), "at": at} for number in messages], ordered=False)
            except BulkWriteError as error:
                only_duplicates(error)

    def among(self, messages: Collection[int]) -> set[int]:
        """Which of these are erased: one query by `_id`.

        Raises:
            StoreUnavailable: not known.
        """
        if not messages:
            return set()
        with translated():
            found = self._erased.find({"_id": {"$in": [Int64(number) for number in messages]}}, {"_id": 1})
            return {int(row["_id"]) for row in found}

    def add_person(self, brand_id: str, address_hash: str, at: datetime) -> None:
        """Note a person as erased; again is harmless."""
        key = _person(brand_id, address_hash)
        with translated():
            self._people.update_one({"_id": {"$eq": key}}, {"$setOnInsert": {"_id": key, "at": at}}, upsert=True)

    def people_among(self, people: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Which of these (brand id, address hash) are erased: one query by `_id`.

        Raises:
            StoreUnavailable: not known.
        """
        keys = {_person(*person): person for person in people}
        if not keys:
            return set()
        with translated():
            return {keys[row["_id"]] for row in self._people.find({"_id": {"$in": list(keys)}}, {"_id": 1})}


def _person(brand_id: str, address_hash: str) -> str:
    return f"{brand_id}:{address_hash}"
