"""Opens MongoDB and Redis with the time limits of their use, and translates their errors into ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from pymongo import MongoClient, WriteConcern
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import PyMongoError
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.errors import StoreUnavailable
from config.settings import Settings

Document = dict[str, Any]

# `majority` + journal on every write: an acknowledged event survives a failover and a crash.
WRITE_CONCERN = WriteConcern(w="majority", j=True)
DUPLICATE_KEY = 11000


def connect(
    settings: Settings, *, timeout_seconds: float = 5.0, pool_size: int = 4, retry_writes: bool = True
) -> Database[Document]:
    """The deployment's database. Call it once per process, after any fork: MongoClient is not fork-safe.

    Args:
        timeout_seconds: total time for one operation, server selection included.
        pool_size: connections at most; a worker needs few, a web process one per thread.
        retry_writes: whether the driver repeats a write that met a failover. MongoDB keeps books for that per
            document, a tenth of the cost of an insert: not for writers that repeat whole batches themselves.
    """
    client: MongoClient[Document] = MongoClient(
        settings.mongo_url,
        timeoutMS=int(timeout_seconds * 1000),
        serverSelectionTimeoutMS=int(min(timeout_seconds, 2.0) * 1000),
        maxPoolSize=pool_size,
        maxIdleTimeMS=60_000,
        retryWrites=retry_writes,
        tz_aware=True,
        appname="telltale",
    )
    return client.get_database(settings.mongo_database, write_concern=WRITE_CONCERN)


def connect_redis(url: str, *, timeout_seconds: float = 0.2) -> redis.Redis:
    """A Redis client that fails within `timeout_seconds` and never retries by itself.

    redis-py's own defaults take seconds to give up, and its retries make INCR count twice.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=15,
    )


def insert_new(collection: Collection[Document], documents: Sequence[Document]) -> list[int]:
    """Insert in one write, unordered; answers the positions that a unique index refused.

    The plain command instead of `insert_many`: the driver's way there costs some microseconds per document, and what it
    does for that (ids, splitting at 100,000 documents or 48 MB) is not needed for a batch.

    Raises:
        StoreUnavailable: some may be missing; insert them again.
    """
    if not documents:
        return []
    command = {
        "insert": collection.name,
        "documents": documents,
        "ordered": False,
        "writeConcern": WRITE_CONCERN.document,
    }
    with translated():
        answer = collection.database.command(command)
    refused = answer.get("writeErrors", [])
    if answer.get("writeConcernError") or any(error["code"] != DUPLICATE_KEY for error in refused):
        raise StoreUnavailable("insert")
    return [error["index"] for error in refused]


@contextmanager
def translated() -> Iterator[None]:
    """Turn what MongoDB and Redis raise into `StoreUnavailable`, without the driver's text: it may quote values."""
    try:
        yield
    except (PyMongoError, redis.RedisError) as error:
        raise StoreUnavailable(type(error).__name__) from error
