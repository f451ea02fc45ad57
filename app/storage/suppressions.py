"""The collection `suppressions`: addresses a brand must not write to, by keyed hash. Survives erasure of the person."""

from __future__ import annotations

from datetime import datetime

from pymongo import IndexModel
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.storage.client import Document, translated

WHOLE_BRAND = "*"


class Suppressions:
    """Shard key: hashed `_id`. One document per brand, address and list; `*` as list is the whole brand."""

    INDEXES: tuple[IndexModel, ...] = ()

    def __init__(self, database: Database[Document]) -> None:
        self._suppressions = database["suppressions"]

    def add(
        self, brand_id: str, address_hash: str, *, list_id: str, reason: str, at: datetime, message: int | None
    ) -> bool:
        """Suppress an address; answers whether that is new. The first time stamp is kept.

        Args:
            message: its number, when it has one of ours.
        """
        document: Document = {
            "_id": _key(brand_id, address_hash, list_id),
            "b": brand_id,
            "h": address_hash,
            "l": list_id,
            "reason": reason,
            "at": at,
        }
        if message is not None:
            document["m"] = message
        with translated():
            try:
                self._suppressions.insert_one(document)
            except DuplicateKeyError:
                return False
        return True

    def covers(self, brand_id: str, address_hash: str, list_id: str | None) -> bool:
        """Whether mail of this list (or of no list) to the address is suppressed."""
        keys = [_key(brand_id, address_hash, WHOLE_BRAND)]
        if list_id is not None:
            keys.append(_key(brand_id, address_hash, list_id))
        with translated():
            return self._suppressions.find_one({"_id": {"$in": keys}}, {"_id": 1}) is not None


def _key(brand_id: str, address_hash: str, list_id: str) -> str:
    return f"{brand_id}:{address_hash}:{list_id}"
