"""The collection `brand_keys`: wrapped keys, one small document each, a few per brand; only ever wrapped anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError
from pymongo.read_concern import ReadConcern

from app.errors import StoreUnavailable
from app.models.brand_key import BrandKey, KeyKind
from app.storage.client import WRITE_CONCERN, Document, translated

MAX_KEYS_PER_BRAND = 1000
MAX_KEYS_OF_A_KIND = 20_000
"""Of all brands together: far above any deployment, and 6 MB at most."""


class BrandKeys:
    INDEXES: ClassVar[list[IndexModel]] = [
        IndexModel([("brand_id", ASCENDING)], name="brand"),
        IndexModel([("kind", ASCENDING)], name="kind"),
    ]

    def __init__(self, database: Database[Document]) -> None:
        # A key that a failover could take back would make everything sealed with it unreadable: majority both ways.
        self._keys = database.get_collection(
            "brand_keys", read_concern=ReadConcern("majority"), write_concern=WRITE_CONCERN
        )

    def find(self, brand_id: str) -> Sequence[BrandKey]:
        """All keys of a brand.

        Raises:
            StoreUnavailable: MongoDB did not answer in time.
        """
        with translated():
            rows = self._keys.find({"brand_id": {"$eq": brand_id}}).sort("_id", ASCENDING).limit(MAX_KEYS_PER_BRAND)
            return [_key(row) for row in rows]

    def find_all(self, kind: KeyKind) -> Sequence[BrandKey]:
        """All brands' keys of one kind.

        Raises:
            StoreUnavailable: MongoDB did not answer in time, or there are more than `MAX_KEYS_OF_A_KIND`: a part of
                them would make the rest of the brands' links look forged.
        """
        with translated():
            rows = list(self._keys.find({"kind": {"$eq": kind.value}}).limit(MAX_KEYS_OF_A_KIND + 1))
        if len(rows) > MAX_KEYS_OF_A_KIND:
            raise StoreUnavailable(f"brand_keys: more than {MAX_KEYS_OF_A_KIND} {kind.value} keys")
        return [_key(row) for row in rows]

    def remove(self, brand_id: str, kind: KeyKind, number: int) -> bool:
        """Forget a key for good: what it sealed never opens again. False when there was none.

        Raises:
            StoreUnavailable: MongoDB did not answer in time.
        """
        with translated():
            return self._keys.delete_one({"_id": {"$eq": _row_id(brand_id, kind, number)}}).deleted_count == 1

    def renew(self, old: BrandKey, new: BrandKey) -> bool:
        """Put a key wrapped by another master key in place of its old form; False when that is not there any more.

        Raises:
            StoreUnavailable: MongoDB did not answer in time.
        """
        stored = {"_id": _row_id(old.brand_id, old.kind, old.number), "wrapped": old.wrapped}
        with translated():
            changed = self._keys.update_one(
                stored, {"$set": {"wrapped": new.wrapped, "master_key_id": new.master_key_id}}
            )
        return changed.modified_count == 1

    def add(self, key: BrandKey) -> BrandKey:
        """Store the key unless its (brand, kind, number) is taken; return the stored one.

        One `findAndModify`: when the key exists already this writes nothing, and its write concern still waits until
        what it returns is on a majority, so that nobody seals with a key that another process is about to lose.

        Raises:
            StoreUnavailable: MongoDB did not answer in time.
        """
        row_id = _row_id(key.brand_id, key.kind, key.number)
        row = {
            "brand_id": key.brand_id,
            "kind": key.kind.value,
            "number": key.number,
            "master_key_id": key.master_key_id,
            "wrapped": key.wrapped,
            "created_at": key.created_at,
        }
        with translated():
            for _ in range(2):
                try:
                    stored = self._keys.find_one_and_update(
                        {"_id": row_id}, {"$setOnInsert": row}, upsert=True, return_document=ReturnDocument.AFTER
                    )
                except DuplicateKeyError:
                    continue  # two upserts at once: the other one won, the second round finds its key
                if stored is not None:
                    return _key(stored)
        raise StoreUnavailable("brand_keys: the key is taken and cannot be read")


def _row_id(brand_id: str, kind: KeyKind, number: int) -> str:
    return f"{brand_id}:{kind.value}:{number}"


def _key(row: Document) -> BrandKey:
    return BrandKey(
        brand_id=row["brand_id"],
        kind=KeyKind(row["kind"]),
        number=row["number"],
        master_key_id=row["master_key_id"],
        wrapped=bytes(row["wrapped"]),
        created_at=row["created_at"],
    )
