"""Brand keys on a real MongoDB: processes that race, what stands in the documents, and a store that does not answer."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from app.errors import StoreUnavailable
from app.models.block import Channel
from app.privacy import Keyring
from app.storage.brand_keys import BrandKeys
from app.storage.client import connect
from config.settings import Settings

TEXT = b"ann@shop.example"


def _use(settings: Settings, barrier: Barrier, answers: Any) -> None:
    """One process that meets brands nobody has used before, at the same time as the others."""
    database = connect(settings)
    keyring = Keyring(settings.master_keys, BrandKeys(database))
    result = []
    for number in range(10):
        brand_id = f"brand-{number}"
        barrier.wait(30)
        sealed = keyring.seal(brand_id, "message", TEXT)
        result.append((brand_id, sealed, keyring.address_hash(brand_id, Channel.EMAIL, "ann@shop.example")))
    answers.put(result)
    database.client.close()


def test_processes_that_meet_a_new_brand_at_once_end_with_the_same_keys(
    settings: Settings, database: Database[dict[str, Any]]
) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(4), context.Queue()
    processes = [context.Process(target=_use, args=(settings, barrier, answers)) for _ in range(4)]
    for process in processes:
        process.start()
    results = [row for _ in processes for row in answers.get(timeout=60)]
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    reader = Keyring(settings.master_keys, BrandKeys(database))
    assert len(results) == 40
    assert all(reader.open(brand_id, "message", sealed) == TEXT for brand_id, sealed, _ in results)
    assert len({(brand_id, hashed) for brand_id, _, hashed in results}) == 10
    assert database["brand_keys"].count_documents({}) == 20


def test_documents_hold_only_wrapped_keys(settings: Settings, database: Database[dict[str, Any]]) -> None:
    keyring = Keyring(settings.master_keys, BrandKeys(database))
    keyring.seal("acme", "message", TEXT)
    rows = list(database["brand_keys"].find())
    assert {row["_id"] for row in rows} == {"acme:data:1", "acme:index:1"}
    assert {row["master_key_id"] for row in rows} == {"k1"}
    keys = keyring._cache["acme"]
    assert all(keys.index_key not in row["wrapped"] for row in rows)
    assert set(rows[0]) == {"_id", "brand_id", "kind", "number", "master_key_id", "wrapped", "created_at"}


def test_a_fresh_process_opens_what_another_one_sealed(settings: Settings, database: Database[dict[str, Any]]) -> None:
    sealed = Keyring(settings.master_keys, BrandKeys(database)).seal("acme", "block", TEXT)
    assert Keyring(settings.master_keys, BrandKeys(database)).open("acme", "block", sealed) == TEXT


def test_its_indexes_can_be_made(database: Database[dict[str, Any]]) -> None:
    assert database["brand_keys"].create_indexes(list(BrandKeys.INDEXES)) == ["brand", "kind"]
    keys = database["brand_keys"]
    for found in (keys.find({"brand_id": {"$eq": "acme"}}).sort("_id", 1), keys.find({"kind": {"$eq": "token"}})):
        assert "COLLSCAN" not in str(found.explain()["queryPlanner"]["winningPlan"])


def test_a_store_that_does_not_answer_is_a_transient_error() -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(
        "mongodb://127.0.0.1:1/", serverSelectionTimeoutMS=200, timeoutMS=400
    )
    keyring = Keyring([("k1", bytes(32))], BrandKeys(client["none"]))
    with pytest.raises(StoreUnavailable):
        keyring.seal("acme", "message", TEXT)
    assert keyring.open_batch(keyring.seal_batch(TEXT, "journal"), "journal") == TEXT, "batches need no store"
    client.close()
