"""Real servers for the whole suite: one private mongod and one private Valkey, both empty whenever a test begins."""

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
from app.storage.indexes import INDEXES, create_indexes
from config.settings import Settings, load_settings
from local.servers import Server, start_mongod, start_redis

CODE_KEY = base64.b64encode(bytes(range(32))).decode()
_FEW = 2000
"""More documents than this are dropped with their collection: deleting them one by one takes longer."""
MASTER_KEYS = "k1:" + base64.b64encode(bytes(range(32, 64))).decode()


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_mongod(tmp_path_factory.mktemp("mongod"))
    with MongoClient[dict[str, Any]](server.url) as client:
        # What tests deleted would be kept as history for five minutes, and looked through by every query of the next.
        client.admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=15, syncdelay=20)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def shared_database(mongod: Server) -> Iterator[Database[dict[str, Any]]]:
    """One database for all tests, with every index: to make and drop its fifty files takes a quarter of a second, and
    to empty them a tenth of that. A test that changes indexes needs a database of its own."""
    with MongoClient[dict[str, Any]](mongod.url) as client:
        database = client.get_database(f"test_{secrets.token_hex(6)}")
        create_indexes(database)
        _empty(database)
        indexes = _indexes(database)
        yield database
        assert _indexes(database) == indexes, "a test changed the indexes of the database that all of them share"


def _indexes(database: Database[dict[str, Any]]) -> dict[str, Any]:
    return {name: database[name].index_information() for name in INDEXES}


def _empty(database: Database[dict[str, Any]]) -> None:
    """Also what is counted and the name of the database, so that it is a new one to whoever opens it next."""
    collections = [one for one in database.list_collections() if not one["name"].startswith("system.")]
    names = [one["name"] for one in collections]
    counts = _counts(database, names)
    # Those with options: a test made one refuse documents.
    dropped = [one["name"] for one in collections if one["options"] or counts.get(one["name"], 0) > _FEW]
    for name in dropped:
        database.drop_collection(name)
    for name in counts.keys() - set(dropped):
        database[name].delete_many({})
    if not INDEXES.keys() <= set(names) - set(dropped):
        create_indexes(database)
        database["counters"].delete_many({})


def _counts(database: Database[dict[str, Any]], names: list[str]) -> dict[str, int]:
    """How many documents each collection has that has any, counted a little beyond `_FEW`. One question for all of
    them, because it is asked after every test."""
    parts = [
        {"$unionWith": {"coll": name, "pipeline": [{"$limit": _FEW + 1}, {"$count": "count"}, {"$set": {"_id": name}}]}}
        for name in names
    ]
    nothing = [{"$match": {"$expr": False}}]
    return {row["_id"]: row["count"] for row in database["counters"].aggregate([*nothing, *parts])}


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
def environment(
    tmp_path: Path, mongod: Server, shared_database: Database[dict[str, Any]], redis_url: str
) -> Iterator[dict[str, str]]:
    """The environment of a deployment of its own: database, journal and secrets are the test's alone, and empty."""
    yield {
        "TELLTALE_STATE_DIR": str(tmp_path / "state"),
        "TELLTALE_MONGO_URL": mongod.url,
        "TELLTALE_MONGO_DATABASE": shared_database.name,
        "TELLTALE_REDIS_URL": redis_url,
        "TELLTALE_CODE_KEY": CODE_KEY,
        "TELLTALE_MASTER_KEYS": MASTER_KEYS,
        "TELLTALE_PUBLIC_SCHEME": "http",
        "TELLTALE_WEBHOOK_ALLOW_HTTP": "1",
        "TELLTALE_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8,::1/128",
        "TELLTALE_JOURNAL_LOW_BYTES": "1048576",
    }
    _empty(shared_database)


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    return load_settings(environment)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database[dict[str, Any]]]:
    """An empty database on a real replica set."""
    database = connect(settings)
    yield database
    database.client.close()
