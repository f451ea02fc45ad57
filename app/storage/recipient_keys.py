"""The collection `recipient_keys`: one small document for each person of a brand, with the person's wrapped data key.

    _id  key id (12 bytes)   b  brand   h  address hash (32 bytes)   w  wrapped key   kn  number of the brand's key   at

Keys are made, wrapped and used in `app.privacy.recipients`. A deleted key is the end of everything sealed with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from pymongo import ASCENDING, IndexModel, UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError
from pymongo.read_concern import ReadConcern

from app.models.recipient_key import RecipientKey
from app.storage.client import WRITE_CONCERN, Document, translated
from app.storage.messages import only_duplicates

_PER_QUERY = 5_000
_FIELDS = {"b": 1, "h": 1, "w": 1, "kn": 1}


class RecipientKeys:
    """Shard key: `{b: 1, h: 1}`, which keeps the unique index possible. Every method raises `StoreUnavailable`."""

    INDEXES = (
        IndexModel([("b", ASCENDING), ("h", ASCENDING)], name="by_person", unique=True),
        # What a rotation has still to wrap anew, and how much of it there is.
        IndexModel([("b", ASCENDING), ("kn", ASCENDING)], name="by_key"),
    )

    def __init__(self, database: Database[Document]) -> None:
        # A key that a failover could take back would make what it sealed unreadable: majority both ways. So does a
        # deleted one stay deleted.
        self._keys = database.get_collection(
            "recipient_keys", read_concern=ReadConcern("majority"), write_concern=WRITE_CONCERN
        )

    def find_by_hash(self, brand_id: str, hashes: Iterable[str]) -> list[RecipientKey]:
        """The keys of those persons who have one: one query."""
        found: list[RecipientKey] = []
        for some in _chunks(bytes.fromhex(text) for text in hashes):
            with translated():
                found += map(_key, self._keys.find({"b": {"$eq": brand_id}, "h": {"$in": some}}, _FIELDS))
        return found

    def find(self, key_ids: Iterable[bytes]) -> list[RecipientKey]:
        """The keys with these ids that still exist: one query."""
        found: list[RecipientKey] = []
        for some in _chunks(key_ids):
            with translated():
                found += map(_key, self._keys.find({"_id": {"$in": some}}, _FIELDS).batch_size(len(some) + 1))
        return found

    def insert(self, keys: Sequence[RecipientKey], at: datetime) -> set[int]:
        """Store new keys in one write. Answers the positions of those whose person has one already (or had, just now).

        When this answers, the other's key is on a majority too: MongoDB waits for what it refused us for.
        """
        documents = [
            {
                "_id": key.id,
                "b": key.brand_id,
                "h": bytes.fromhex(key.address_hash),
                "w": key.wrapped,
                "kn": key.key_number,
                "at": at,
            }
            for key in keys
        ]
        with translated():
            try:
                self._keys.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                return set(only_duplicates(error))
        return set()

    def delete(self, brand_id: str, address_hash: str) -> bool:
        """Erase a person: whatever was sealed with the key never opens again. False when there was no key.

        It holds everywhere when this returns: nobody keeps an unwrapped key longer than one call takes.
        """
        person = {"b": {"$eq": brand_id}, "h": {"$eq": bytes.fromhex(address_hash)}}
        with translated():
            return self._keys.delete_one(person).deleted_count == 1

    def older(self, brand_id: str, key_number: int, limit: int) -> list[RecipientKey]:
        """At most `limit` keys that an older key of the brand than `key_number` wraps."""
        older = {"b": {"$eq": brand_id}, "kn": {"$lt": key_number}}
        with translated():
            return [_key(row) for row in self._keys.find(older, _FIELDS).limit(limit)]

    def renew(self, keys: Sequence[tuple[RecipientKey, RecipientKey]]) -> int:
        """Put newly wrapped forms in place of (old form, new form); answers how many were still the old form."""
        if not keys:
            return 0
        changes = [
            UpdateOne(
                {"_id": old.id, "b": old.brand_id, "kn": old.key_number},
                {"$set": {"w": new.wrapped, "kn": new.key_number}},
            )
            for old, new in keys
        ]
        with translated():
            return self._keys.bulk_write(changes, ordered=False).modified_count

    def count_under(self, brand_id: str, key_number: int) -> int:
        """How many persons' keys one of the brand's keys wraps."""
        query: dict[str, Any] = {"b": {"$eq": brand_id}, "kn": {"$eq": key_number}}
        with translated():
            return self._keys.count_documents(query, hint="by_key")


def _chunks(items: Iterable[bytes]) -> Iterator[list[bytes]]:
    rest = iter(items)
    while some := list(islice(rest, _PER_QUERY)):
        yield some


def _key(row: Document) -> RecipientKey:
    return RecipientKey(bytes(row["_id"]), row["b"], bytes(row["h"]).hex(), row["kn"], bytes(row["w"]))
