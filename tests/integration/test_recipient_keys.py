"""Persons' keys on a real MongoDB: processes that race, and a person who is gone from every store and every backup."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest
from bson import encode
from pymongo import MongoClient
from pymongo.database import Database

from app.errors import StoreUnavailable
from app.lib import clock
from app.models.block import Channel
from app.models.delivery import Delivery, Item
from app.models.message import Message, Recipient
from app.privacy import Keyring
from app.privacy.memory import MemoryBrandKeys
from app.privacy.recipients import Vault
from app.services import Services, build_services
from app.storage.brand_keys import BrandKeys
from app.storage.client import connect
from app.storage.indexes import create_indexes
from app.storage.recipient_keys import RecipientKeys
from config.settings import Settings

PEOPLE = [f"p{number:02}@people.example" for number in range(40)]


def _services(settings: Settings) -> Services:
    return build_services(settings, role="worker")


def _message(services: Services, number: int, address: str) -> Message:
    hashed = services.keyring.address_hash("alder", Channel.EMAIL, address)
    return Message(number, "alder", Channel.EMAIL, Recipient(address, name=f"Name {address}"), hashed, clock.now())


def _deliveries_of(messages: list[Message]) -> list[Delivery]:
    now = clock.now()
    return [
        Delivery(
            id=f"evt_{message.number}:main",
            endpoint_id="main",
            brand_id="alder",
            items=(
                Item(
                    f"evt_{message.number}",
                    "message.opened",
                    b'{"address":"%s"}' % message.recipient.address.encode(),
                    message.key_id,
                ),
            ),
            created_at=now,
            next_attempt_at=now,
        )
        for message in messages
    ]


def _seal(settings: Settings, barrier: Barrier, answers: Any) -> None:
    """One process that meets persons nobody has met before, at the same time as the others."""
    database = connect(settings)
    vault = Vault(Keyring(settings.master_keys, BrandKeys(database)), RecipientKeys(database))
    sealed: list[tuple[str, bytes]] = []
    for chunk in range(0, len(PEOPLE), 10):
        people = [f"{number:064x}" for number in range(chunk, chunk + 10)]
        barrier.wait(30)
        sealed += zip(people, vault.seal_many("alder", "message", [(person, b"x") for person in people]), strict=True)
    answers.put(sealed)
    database.client.close()


@pytest.mark.slow
def test_processes_that_meet_a_person_at_once_end_with_one_key(
    settings: Settings, database: Database[dict[str, Any]]
) -> None:
    create_indexes(database)
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(4), context.Queue()
    processes = [context.Process(target=_seal, args=(settings, barrier, answers)) for _ in range(4)]
    for process in processes:
        process.start()
    results = [row for _ in processes for row in answers.get(timeout=60)]
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    services = _services(settings)
    assert len(results) == 4 * len(PEOPLE)
    assert len({(person, services.vault.key_id_of(sealed)) for person, sealed in results}) == len(PEOPLE)
    assert services.vault.open_many("message", [("alder", sealed) for _, sealed in results]) == [b"x"] * len(results)
    services.close()


def test_an_erased_person_is_in_no_store_and_no_backup_though_every_other_key_is_there(
    settings: Settings, database: Database[dict[str, Any]]
) -> None:
    create_indexes(database)
    services = _services(settings)
    services.messages.insert_many([_message(services, number, address) for number, address in enumerate(PEOPLE)])
    stored = services.messages.get_many(range(len(PEOPLE)))
    services.deliveries.insert_many(_deliveries_of(list(stored.values())))
    gone = stored[7]
    services.suppressions.add(
        "alder", gone.address_hash, list_id="*", reason="unsubscribed", at=clock.now(), message=gone.number
    )
    backup = {name: list(database[name].find({})) for name in database.list_collection_names()}

    assert services.recipient_keys.delete("alder", gone.address_hash)
    _nothing_is_left_of(services, gone, everybody_else=len(PEOPLE) - 1)
    assert services.suppressions.covers("alder", gone.address_hash, "news")

    # The whole backup comes back, and with it every key but the erased one: the brand's, the master key, all others.
    for name, rows in backup.items():
        database[name].delete_many({})
        if name == "recipient_keys":
            rows = [row for row in rows if bytes(row["_id"]) != gone.key_id]  # noqa: PLW2901
        if rows:
            database[name].insert_many(rows)
    restored = _services(settings)
    _nothing_is_left_of(restored, gone, everybody_else=len(PEOPLE) - 1)
    assert restored.suppressions.covers("alder", gone.address_hash, "news")
    for one in (services, restored):
        one.close()


def _nothing_is_left_of(services: Services, gone: Message, *, everybody_else: int) -> None:
    messages = services.messages.get_many(range(len(PEOPLE)))
    assert [number for number, message in messages.items() if message.erased] == [gone.number]
    assert sum(bool(message.recipient.address) for message in messages.values()) == everybody_else
    record = services.deliveries.find("alder", f"evt_{gone.number}:main")
    assert record is not None
    assert record.delivery.body == b""
    # Not only by our own way: every sealed value there is, under every key there is.
    keys = services.recipient_keys.find(
        {bytes(row["_id"]) for row in services.database["recipient_keys"].find({}, {"_id": 1})}
    )
    assert len(keys) == everybody_else
    database = services.database
    sealed = [("message", bytes(row["s"])) for row in database["messages"].find({"s": {"$exists": True}})]
    sealed += [("delivery", bytes(row["body"])) for row in database["deliveries"].find({"body": {"$exists": True}})]
    opened = [services.vault.open_many(purpose, [("alder", raw)])[0] for purpose, raw in sealed]
    assert sum(plain is None for plain in opened) == len(opened) - 2 * everybody_else
    everything = b"".join(plain or b"" for plain in opened)
    everything += b"".join(encode(row) for name in database.list_collection_names() for row in database[name].find({}))
    assert gone.recipient.address.encode() not in everything


def test_a_person_who_comes_back_after_the_erase_is_new(settings: Settings, database: Database[dict[str, Any]]) -> None:
    create_indexes(database)
    services = _services(settings)
    services.messages.insert_many([_message(services, 1, PEOPLE[0])])
    services.recipient_keys.delete("alder", services.messages.hash_of(1) or "")
    services.messages.insert_many([_message(services, 2, PEOPLE[0])])
    found = services.messages.get_many([1, 2])
    assert (found[1].erased, found[2].recipient.address) == (True, PEOPLE[0])
    assert database["recipient_keys"].count_documents({}) == 1
    services.close()


def test_an_erase_holds_for_processes_that_have_used_the_key_before(
    settings: Settings, database: Database[dict[str, Any]]
) -> None:
    create_indexes(database)
    here, there = _services(settings), _services(settings)
    here.messages.insert_many([_message(here, 1, PEOPLE[0])])
    assert there.messages.get(1) is not None
    (known,) = there.messages.get_many([1]).values()
    assert known.recipient.address == PEOPLE[0]
    here.recipient_keys.delete("alder", known.address_hash)
    (now,) = there.messages.get_many([1]).values()
    assert now.erased
    assert there.vault.seal_under("delivery", [("alder", known.key_id, b"late")]) == [None]
    here.close()
    there.close()


def test_without_a_store_nothing_is_sealed_and_nothing_is_taken_for_erased() -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(
        "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100", tz_aware=True
    )
    keyring = Keyring([("k1", bytes(32))], MemoryBrandKeys())
    vault = Vault(keyring, RecipientKeys(client["none"]))
    with pytest.raises(StoreUnavailable):
        vault.seal_many("alder", "message", [("00" * 32, b"x")])
    with pytest.raises(StoreUnavailable):
        vault.open_many("message", [("alder", b"\x03" + bytes(60))])
    client.close()
