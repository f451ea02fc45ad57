"""Real servers for the whole suite: one private mongod and one private Valkey, a fresh database for each test."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from pymongo import MongoClient
from pymongo.database import Database

from app.storage.client import connect
from config.settings import Settings, load_settings
from local.servers import Server, start_mongod, start_redis

CODE_KEY = base64.b64encode(bytes(range(32))).decode()
MASTER_KEYS = "k1:" + base64.b64encode(bytes(range(32, 64))).decode()


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_mongod(tmp_path_factory.mktemp("mongod"))
    with MongoClient[dict[str, Any]](server.url) as client:
        # Every test drops a database of fifty files. By default they stay open for five minutes, and at 20,000 open
        # files (a common limit) the server dies in the middle of the suite.
        client.admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=15, syncdelay=20)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_redis(tmp_path_factory.mktemp("valkey"))
    yield server
    server.stop()


@pytest.fixture
def redis_url(valkey: Server) -> Iterator[str]:
    """An empty Valkey; every test empties it again."""
    yield valkey.url
    client = redis.Redis.from_url(valkey.url)
    client.flushall()
    client.close()


@pytest.fixture
def environment(tmp_path: Path, mongod: Server, redis_url: str) -> dict[str, str]:
    """The environment of a deployment of its own: database, journal and secrets are the test's alone."""
    return {
        "TELLTALE_STATE_DIR": str(tmp_path / "state"),
        "TELLTALE_MONGO_URL": mongod.url,
        "TELLTALE_MONGO_DATABASE": f"test_{secrets.token_hex(6)}",
        "TELLTALE_REDIS_URL": redis_url,
        "TELLTALE_CODE_KEY": CODE_KEY,
        "TELLTALE_MASTER_KEYS": MASTER_KEYS,
        "TELLTALE_PUBLIC_SCHEME": "http",
        "TELLTALE_WEBHOOK_ALLOW_HTTP": "1",
        "TELLTALE_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8,::1/128",
        "TELLTALE_JOURNAL_LOW_BYTES": "1048576",
    }


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    return load_settings(environment)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database[dict[str, Any]]]:
    """A fresh database on a real replica set."""
    database = connect(settings)
    yield database
    database.client.drop_database(database.name)
    database.client.close()
