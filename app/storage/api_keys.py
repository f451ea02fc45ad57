"""The collection `api_keys`: one document per key of a brand. What a key is stands in `app.models.api_key`."""

from __future__ import annotations

from datetime import datetime, timedelta

import pymongo
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.lib import clock
from app.models.api_key import ApiKey, Scope, digest_of, new_token, scope_names, token_text
from app.storage.client import Document, translated

_LIST_LIMIT = 10_000
_ID_TRIES = 3


class ApiKeys:
    """Keys by id. Every method raises `StoreUnavailable` when MongoDB does not answer in time."""

    COLLECTION = "api_keys"
    INDEXES = (pymongo.IndexModel([("brand_id", 1), ("created_at", 1)], name="by_brand"),)

    def __init__(self, database: Database[Document]) -> None:
        self._keys = database[self.COLLECTION]

    def create(self, brand_id: str, scopes: frozenset[Scope], name: str) -> tuple[ApiKey, str]:
        """Store a new key; returns it with its token, which nobody can read again."""
        for attempt in range(_ID_TRIES):
            key_id, secret = new_token()
            key = ApiKey(key_id, brand_id, name, scopes, digest_of(secret), clock.now())
            try:
                with translated():
                    self._insert(key)
            except FileExistsError:
                if attempt + 1 == _ID_TRIES:
                    raise
                continue
            return key, token_text(key_id, secret)
        raise AssertionError("unreachable")

    def _insert(self, key: ApiKey) -> None:
        try:
            self._keys.insert_one(_document(key))
        except DuplicateKeyError as error:  # 60 random bits: once in a blue moon
            raise FileExistsError(key.id) from error

    def find(self, key_id: str) -> ApiKey | None:
        """The key, revoked or not."""
        with translated():
            found = self._keys.find_one({"_id": {"$eq": key_id}})
        return None if found is None else _key(found)

    def of_brand(self, brand_id: str | None = None) -> list[ApiKey]:
        """The keys of a brand, or of all brands, oldest first."""
        query = {} if brand_id is None else {"brand_id": {"$eq": brand_id}}
        with translated():
            return [_key(found) for found in self._keys.find(query).sort("created_at", 1).limit(_LIST_LIMIT)]

    def revoke(self, key_id: str) -> bool:
        """End a key for good; False when there is no such key. Revoking twice keeps the first time."""
        with translated():
            found = self._keys.update_one(
                {"_id": {"$eq": key_id}, "revoked_at": None}, {"$set": {"revoked_at": clock.now()}}
            )
            return found.matched_count == 1 or self._keys.find_one({"_id": {"$eq": key_id}}, {"_id": 1}) is not None

    def touch(self, key_id: str, at: datetime, *, unused_for: timedelta) -> None:
        """Remember that the key was used, unless that was noted less than `unused_for` ago."""
        unused_since = {"$or": [{"last_used_at": None}, {"last_used_at": {"$lte": at - unused_for}}]}
        with translated():
            self._keys.update_one({"_id": {"$eq": key_id}, **unused_since}, {"$set": {"last_used_at": at}})


def _document(key: ApiKey) -> Document:
    return {
        "_id": key.id,
        "brand_id": key.brand_id,
        "name": key.name,
        "scopes": scope_names(key.scopes),
        "digest": key.digest,
        "created_at": key.created_at,
        "last_used_at": None,
        "revoked_at": None,
    }


def _key(found: Document) -> ApiKey:
    known = set(Scope)
    return ApiKey(
        id=found["_id"],
        brand_id=found["brand_id"],
        name=found["name"],
        # A scope that a newer release knows and this one does not gives nothing here.
        scopes=frozenset(Scope(name) for name in found["scopes"] if name in known),
        digest=bytes(found["digest"]),
        created_at=found["created_at"],
        last_used_at=found.get("last_used_at"),
        revoked_at=found.get("revoked_at"),
    )
