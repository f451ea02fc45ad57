"""The collection `erased_messages`: numbers of messages whose person was erased. Their hits are served and not stored.

It holds nothing else about them, so a message stays erased also when an older backup brings its document back.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from bson import Int64
from pymongo import IndexModel
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from app.storage.client import Document, translated
from app.storage.messages import only_duplicates


class Erasures:
    """Shard key: `_id`, ranged."""

    INDEXES: tuple[IndexModel, ...] = ()

    def __init__(self, database: Database[Document]) -> None:
        self._erased = database["erased_messages"]

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
