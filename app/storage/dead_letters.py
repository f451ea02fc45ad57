"""The collection `dead_letters`: what could not be read, sealed, kept for a while for a person to look at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from pymongo import IndexModel
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from app.lib import clock
from app.storage.client import Document, translated
from app.storage.messages import only_duplicates

_KEPT = timedelta(days=30)
_MAX_BYTES = 16_384


class BatchSealer(Protocol):
    """What this file needs of the keyring: sealing for the deployment, since a broken line belongs to no brand."""

    def seal_batch(self, plaintext: bytes, purpose: str) -> bytes: ...


class DeadLetters:
    INDEXES = (IndexModel([("expire_at", 1)], expireAfterSeconds=0, name="expire"),)

    def __init__(self, database: Database[Document], sealer: BatchSealer) -> None:
        self._letters = database["dead_letters"]
        self._sealer = sealer

    def set_aside(self, batch_id: str, lines: Sequence[tuple[int, bytes, str]]) -> None:
        """Keep lines of a batch that cannot be read: (position, bytes, reason). Again is harmless."""
        now = clock.now()
        documents = [
            {
                "_id": f"{batch_id}#{position}",
                "at": now,
                "reason": reason,
                "line": self._sealer.seal_batch(line[:_MAX_BYTES], "dead_letter"),
                "expire_at": now + _KEPT,
            }
            for position, line, reason in lines
        ]
        if not documents:
            return
        with translated():
            try:
                self._letters.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                only_duplicates(error)

    def count(self) -> int:
        with translated():
            return self._letters.count_documents({})
