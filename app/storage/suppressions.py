"""The collection `suppressions`: addresses a brand must not write to, by keyed hash. Survives erasure of the person."""

from __future__ import annotations

from datetime import datetime

from pymongo import IndexModel
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.models.suppression import WHOLE_BRAND, Suppression
from app.storage.client import Document, translated


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
            message: the message that led to it, if there was one.
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

    def of_address(self, brand_id: str, address_hash: str) -> list[Suppression]:
        """Everything an address is suppressed for, at most 1,000 lists."""
        with translated():
            found = self._suppressions.find({"_id": _range(brand_id, address_hash)}).limit(1000)
            return [Suppression(row["l"], row["reason"], row["at"]) for row in found]

    def forget_message(self, brand_id: str, address_hash: str) -> None:
        """Keep that an address is suppressed, and no longer because of which message."""
        with translated():
            self._suppressions.update_many({"_id": _range(brand_id, address_hash)}, {"$unset": {"m": ""}})


def _range(brand_id: str, address_hash: str) -> dict[str, str]:
    """All keys of an address: `;` is the character after the `:` in front of the list."""
    return {"$gte": f"{brand_id}:{address_hash}:", "$lt": f"{brand_id}:{address_hash};"}


def _key(brand_id: str, address_hash: str, list_id: str) -> str:
    return f"{brand_id}:{address_hash}:{list_id}"
