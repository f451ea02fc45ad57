"""What time MongoDB and Redis have, for whoever must know whether this machine's clock is right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import redis
from pymongo.database import Database

from app.storage.client import Document, translated


def server_clocks(database: Database[Document], client: redis.Redis) -> dict[str, Callable[[], datetime]]:
    """By name, what reads a server's time. Each raises StoreUnavailable when its server does not answer."""

    def of_mongodb() -> datetime:
        with translated():
            answer = database.command("hello")
        local_time: datetime = answer["localTime"]  # commands are decoded without the database's time zone
        return local_time.replace(tzinfo=UTC)

    def of_redis() -> datetime:
        with translated():
            seconds, microseconds = client.time()
        return datetime.fromtimestamp(seconds + microseconds / 1_000_000, UTC)

    return {"mongodb": of_mongodb, "redis": of_redis}
