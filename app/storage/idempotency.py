"""The collection `idempotency`: what a repeated mutating call needs to do the same work again, and nothing personal.

No answer is stored. A record holds what the first call decided (the numbers it reserved, the id it chose, its
time); a repeated call does the same deterministic, idempotent work from it, which also heals a call that died half-way.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta

import pymongo
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.models.idempotency import Decision, IdempotencyRecord
from app.storage.client import Document, translated

LIFETIME = timedelta(hours=24)


class Idempotency:
    """Records by brand and key. Every method raises `StoreUnavailable` when MongoDB does not answer in time.

    Args:
        secret: any lasting secret of the deployment; keys and bodies are kept only as HMACs under it, since a plain
            hash of a body that holds one address could be guessed.
    """

    COLLECTION = "idempotency"
    INDEXES = (pymongo.IndexModel([("created_at", 1)], name="ttl", expireAfterSeconds=int(LIFETIME.total_seconds())),)

    def __init__(self, database: Database[Document], secret: bytes) -> None:
        self._records = database[self.COLLECTION]
        self._mac_key = hmac.digest(secret, b"telltale idempotency 1", "sha256")

    def fingerprint(self, method: str, path: str, body: bytes) -> bytes:
        """What must be equal for two calls to be the same call."""
        mac = hmac.new(self._mac_key, digestmod=hashlib.sha256)
        for part in (b"call", method.encode(), path.encode(), body):
            mac.update(len(part).to_bytes(8, "big") + part)
        return mac.digest()

    def find(self, brand_id: str, key: str) -> IdempotencyRecord | None:
        with translated():
            found = self._records.find_one({"_id": {"$eq": self._id(brand_id, key)}})
        return None if found is None else _record(found)

    def claim(
        self, brand_id: str, key: str, fingerprint: bytes, decision: Decision, created_at: datetime
    ) -> tuple[IdempotencyRecord, bool]:
        """Store what this call decided, unless another call with the key was first.

        Args:
            created_at: whole milliseconds, as MongoDB keeps them.

        Returns:
            The record that holds from now on, and whether it is this call's.
        """
        document = {
            "_id": self._id(brand_id, key),
            "fingerprint": fingerprint,
            "start": decision.start,
            "resource": decision.resource,
            "plan": decision.plan,
            "created_at": created_at,
        }
        with translated():
            try:
                self._records.insert_one(document)
            except DuplicateKeyError:
                found = self._records.find_one({"_id": {"$eq": document["_id"]}})
                if found is None:  # it expired between the two calls; the caller's next try starts anew
                    raise
                return _record(found), False
        return _record(document), True

    def _id(self, brand_id: str, key: str) -> str:
        return f"{brand_id}:{hmac.digest(self._mac_key, b'key' + key.encode(), 'sha256').hex()}"


def _record(found: Document) -> IdempotencyRecord:
    decision = Decision(start=found["start"], resource=found["resource"], plan=bytes(found["plan"]))
    return IdempotencyRecord(bytes(found["fingerprint"]), decision, found["created_at"])
