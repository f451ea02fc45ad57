"""Short questions to the stores for readiness: each has a deadline of its own and changes nothing."""

from __future__ import annotations

import pymongo
import redis
from pymongo.database import Database

from app.storage.client import Document, translated


def is_primary(database: Database[Document], *, timeout_seconds: float) -> bool:
    """Whether MongoDB takes writes.

    Raises:
        StoreUnavailable: no answer in time.
    """
    with translated(), pymongo.timeout(timeout_seconds):
        return bool(database.client.admin.command("hello").get("isWritablePrimary"))


def eviction_policy(client: redis.Redis) -> str:
    """What a Redis does when its memory is full: `noeviction` is the only one that never forgets by itself.

    Raises:
        StoreUnavailable: no answer in time.
    """
    with translated():
        return str(client.info("memory").get("maxmemory_policy", "unknown"))
