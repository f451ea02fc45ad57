"""Private MongoDB and Valkey: ready when they say so, and their data outlives a crash and a change of port."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pymongo
import pytest
import redis

from local.servers import ServerFailed, start_mongod, start_redis


def _mongo(url: str) -> pymongo.MongoClient[dict[str, Any]]:
    return pymongo.MongoClient(url, serverSelectionTimeoutMS=2000)


def test_mongodb_keeps_its_data_over_a_crash_and_on_another_port(tmp_path: Path) -> None:
    first = start_mongod(tmp_path)
    with _mongo(first.url) as client:
        safe = client["shop"].get_collection("things", write_concern=pymongo.WriteConcern("majority", j=True))
        safe.insert_one({"_id": 1})
    first.kill()

    second = start_mongod(tmp_path)
    try:
        assert second.port != first.port
        with _mongo(second.url) as client, client.start_session() as session:
            assert client.admin.command("hello")["isWritablePrimary"]
            with session.start_transaction():
                client["shop"]["things"].insert_one({"_id": 2}, session=session)
            assert client["shop"]["things"].count_documents({}) == 2
    finally:
        second.stop()

    third = start_mongod(tmp_path, second.port)
    third.stop()
    third.stop()


def test_valkey_keeps_its_data_over_a_crash_and_evicts_nothing(tmp_path: Path) -> None:
    first = start_redis(tmp_path)
    client = redis.Redis.from_url(first.url)
    client.incrby("numbers", 7)
    client.close()
    first.kill()

    second = start_redis(tmp_path)
    try:
        client = redis.Redis.from_url(second.url, decode_responses=True)
        assert client.get("numbers") == "7"
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        client.close()
    finally:
        second.stop()


def test_a_port_that_somebody_else_has_is_refused(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ServerFailed, match=f"port {port} is taken"):
            start_redis(tmp_path / "redis", port)
        with pytest.raises(ServerFailed, match=f"port {port} is taken"):
            start_mongod(tmp_path / "mongod", port)


def test_a_server_that_cannot_read_its_data_says_why(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "storage.bson").write_text("nothing like it")
    with pytest.raises(ServerFailed, match=r"MongoDB ended while it started; (?s:.)*storage engine metadata"):
        start_mongod(tmp_path)
