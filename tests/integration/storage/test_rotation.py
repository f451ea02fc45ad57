"""Rotation on a real MongoDB: nothing is unreadable at any moment, whatever runs at once or is killed."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from typing import Any

import orjson
import pytest
from pymongo.database import Database

from app.errors import ConfigurationError
from app.lib import clock
from app.models.block import Block, Channel, Link
from app.models.brand_key import KeyKind
from app.models.delivery import Delivery, Endpoint, Item, Secret
from app.models.message import Message, Recipient
from app.privacy import Keyring
from app.privacy.recipients import Vault
from app.privacy.rotation import SETTLED_AFTER, KeyInUse, Rotation, Stores
from app.storage.block_cache import BlockCache
from app.storage.blocks import Blocks
from app.storage.brand_keys import BrandKeys
from app.storage.client import connect, connect_redis
from app.storage.deliveries import Deliveries
from app.storage.endpoints import Endpoints
from app.storage.indexes import create_indexes
from app.storage.messages import Messages
from app.storage.recipient_keys import RecipientKeys
from config.settings import Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NEW_MASTER = ("k2", bytes(range(100, 132)))


class Process:
    """What one process of the deployment has; its clock can be moved."""

    def __init__(self, settings: Settings, database: Database[dict[str, Any]], masters: Any = None) -> None:
        self.ahead = timedelta()
        masters = masters or settings.master_keys
        self.brand_keys, self.recipient_keys = BrandKeys(database), RecipientKeys(database)
        self.keyring = Keyring(masters, self.brand_keys, now=self.now)
        self.vault = Vault(self.keyring, self.recipient_keys)
        self.blocks = Blocks(database, self.keyring)
        self.endpoints = Endpoints(database, self.keyring)
        self.messages = Messages(database, self.vault)
        self.deliveries = Deliveries(database, self.vault)
        stores = Stores(
            self.brand_keys, self.recipient_keys, self.blocks, self.endpoints, self.messages, self.deliveries
        )
        self.rotation = Rotation(masters, self.keyring, self.vault, stores, now=self.now)

    def now(self) -> datetime:
        return clock.now() + self.ahead

    def fill(self, first: int = 0, count: int = 3, brand_id: str = "alder") -> None:
        """Messages of `count` persons, and a block, an endpoint and a delivery that are nobody's."""
        self.messages.insert_many([self.message(number, brand_id) for number in range(first, first + count)])
        self.blocks.insert(_block(first, brand_id))
        endpoint = Endpoint(f"ep_{brand_id}_{first}", brand_id, "https://hooks.alder.example/", (Secret(bytes(24)),))
        self.endpoints.insert(endpoint, created_at=NOW)
        event = f"evt_{brand_id}_{first}"
        self.deliveries.insert_many(
            [Delivery(f"{event}:main", "main", brand_id, (Item(event, "message.opened", b"body"),), NOW, NOW)]
        )

    def message(self, number: int, brand_id: str = "alder") -> Message:
        address = f"p{number}@people.example"
        hashed = self.keyring.address_hash(brand_id, Channel.EMAIL, address)
        return Message(number, brand_id, Channel.EMAIL, Recipient(address), hashed, NOW)

    def reads_all(self, first: int = 0, count: int = 3, brand_id: str = "alder") -> bool:
        found = self.messages.get_many(range(first, first + count))
        addresses = [found[number].recipient.address for number in range(first, first + count)]
        record = self.deliveries.find(brand_id, f"evt_{brand_id}_{first}:main")
        return (
            addresses == [f"p{number}@people.example" for number in range(first, first + count)]
            and self.blocks.find(first) == _block(first, brand_id)
            and self.endpoints.get(brand_id, f"ep_{brand_id}_{first}") is not None
            and record is not None
            and record.delivery.body == b"body"
        )

    def needed(self, number: int, brand_id: str = "alder") -> dict[str, int]:
        uses = {use.number: use for use in self.rotation.status(brand_id) if use.kind is KeyKind.DATA}
        return {name: count for name, count in (uses[number].needed_by or {}).items() if count}


def _block(first: int, brand_id: str) -> Block:
    links = (
        Link("https://shop.alder.example/?a=1"),
        Link("https://shop.alder.example/{{ page }}", "Shop", True),
        Link("https://shop.alder.example/?a=1", "trap", trap=True),
    )
    return Block(first, 1, 7, brand_id, Channel.EMAIL, links, NOW)


@pytest.fixture
def start(settings: Settings, database: Database[dict[str, Any]]) -> Callable[..., Process]:
    create_indexes(database)
    return lambda masters=None: Process(settings, database, masters)


@pytest.fixture
def process(start: Callable[..., Process]) -> Process:
    return start()


def test_a_new_key_is_used_at_once_and_old_data_still_open(process: Process) -> None:
    process.fill(0)
    assert process.rotation.rotate("alder") == 2
    process.fill(100)
    assert process.reads_all(0)
    assert process.reads_all(100)
    assert process.needed(1) == {"recipient_keys": 3, "blocks": 1, "endpoints": 1, "deliveries": 1}
    assert process.needed(2) == {"recipient_keys": 3, "blocks": 1, "endpoints": 1, "deliveries": 2}


def test_rewrapping_touches_no_data_of_persons_and_leaves_the_old_key_unneeded(
    process: Process, start: Callable[..., Process], database: Database[dict[str, Any]]
) -> None:
    process.fill(0, 12)
    before = list(database["messages"].find().sort("_id", 1))
    process.rotation.rotate("alder")
    seen: list[tuple[str, int]] = []
    done = process.rotation.rewrap("alder", lambda what, count: seen.append((what, count)))
    assert done == {"recipient_keys": 12, "blocks": 1, "endpoints": 1, "messages": 0}
    assert seen == [("recipient_keys", 12), ("blocks", 1), ("endpoints", 1)]
    assert process.rotation.rewrap("alder") == {"recipient_keys": 0, "blocks": 0, "endpoints": 0, "messages": 0}
    assert list(database["messages"].find().sort("_id", 1)) == before
    assert process.needed(1) == {"deliveries": 1}
    database["deliveries"].delete_many({})
    database["brand_keys"].delete_one({"_id": "alder:data:1"})
    late = start()
    assert late.messages.get_many([5])[5].recipient.address == "p5@people.example"
    assert late.blocks.find(0) == _block(0, "alder")
    assert late.endpoints.get("alder", "ep_alder_0") is not None


def test_a_brands_rotation_is_no_other_brands_matter(process: Process) -> None:
    process.fill(0)
    process.fill(100, brand_id="birch")
    process.rotation.rotate("alder")
    process.rotation.rewrap("alder")
    assert process.needed(1, "birch") == {"recipient_keys": 3, "blocks": 1, "endpoints": 1, "deliveries": 1}
    assert process.reads_all(100, brand_id="birch")


def test_old_and_new_processes_read_each_other_and_meet_within_a_minute(start: Callable[..., Process]) -> None:
    old, new = start(), start()
    old.fill(0)
    new.rotation.rotate("alder")
    new.fill(100)
    old.fill(200)
    assert old.reads_all(100)
    assert new.reads_all(200)
    # Reading what key 2 seals has shown it to the old process; one that only writes learns of it by time.
    writer = start()
    writer.keyring.refresh("alder")
    new.rotation.rotate("alder")
    writer.ahead = timedelta(seconds=59)
    writer.fill(300)
    assert new.needed(2)["blocks"] >= 1
    blocks = new.needed(2)["blocks"]
    writer.ahead = timedelta(seconds=61)
    writer.fill(400)
    assert new.needed(2)["blocks"] == blocks
    assert new.needed(3)["blocks"] == 1


def test_a_key_is_retired_only_when_nobody_can_need_it(process: Process, database: Database[dict[str, Any]]) -> None:
    process.fill(0)
    retire = process.rotation.retire
    with pytest.raises(KeyInUse, match="newest"):
        retire("alder", 1)
    with pytest.raises(KeyInUse, match="no data key 7"):
        retire("alder", 7)
    process.rotation.rotate("alder")
    with pytest.raises(KeyInUse, match="other processes may still use data key 1 of brand alder until 2"):
        retire("alder", 1)
    process.ahead = SETTLED_AFTER + timedelta(seconds=1)
    with pytest.raises(KeyInUse, match="3 recipient_keys, 1 blocks, 1 endpoints, 1 deliveries"):
        retire("alder", 1)
    process.rotation.rewrap("alder")
    with pytest.raises(KeyInUse, match="needed by 1 deliveries"):
        retire("alder", 1)
    database["deliveries"].delete_many({})
    retire("alder", 1)
    assert [key.number for key in process.brand_keys.find("alder") if key.kind is KeyKind.DATA] == [2]
    assert process.messages.get_many([0])[0].recipient.address == "p0@people.example"
    process.fill(100)
    assert process.reads_all(100)
    assert process.rotation.rotate("alder") == 3, "numbers are not used again"


def test_a_process_that_has_not_read_its_keys_for_minutes_does_not_seal_with_a_retired_one(
    process: Process, start: Callable[..., Process], database: Database[dict[str, Any]]
) -> None:
    sleeper = start()
    sleeper.fill(0)
    database["deliveries"].delete_many({})
    process.rotation.rotate("alder")
    process.rotation.rewrap("alder")
    process.ahead = sleeper.ahead = SETTLED_AFTER + timedelta(seconds=1)
    process.rotation.retire("alder", 1)
    sleeper.fill(100)
    assert process.reads_all(100)


def test_rotating_at_once_makes_keys_that_all_open(start: Callable[..., Process]) -> None:
    processes = [start() for _ in range(4)]
    processes[0].fill(0)
    barrier, numbers = threading.Barrier(4), []

    def rotate(process: Process) -> None:
        barrier.wait(10)
        numbers.append(process.rotation.rotate("alder"))

    threads = [threading.Thread(target=rotate, args=(process,)) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(set(numbers)) == list(range(2, 2 + len(set(numbers))))
    for place, process in enumerate(processes):
        process.fill(100 * (place + 1))
    assert all(reader.reads_all(100 * (place + 1)) for reader in processes for place in range(4))


def test_two_rewraps_at_once_beside_registration_lose_nothing(start: Callable[..., Process]) -> None:
    one, two, web = start(), start(), start()
    one.messages.insert_many([one.message(number) for number in range(3000)])
    one.rotation.rotate("alder")
    done: list[int] = []
    threads = [
        threading.Thread(target=lambda process=process: done.append(process.rotation.rewrap("alder")["recipient_keys"]))
        for process in (one, two)
    ]
    for thread in threads:
        thread.start()
    web.messages.insert_many([web.message(number) for number in range(3000, 4000)])
    for thread in threads:
        thread.join(60)
    assert sum(done) >= 3000
    one.rotation.rewrap("alder")
    assert "recipient_keys" not in one.needed(1)
    found = start().messages.get_many(range(4000))
    assert all(found[number].recipient.address == f"p{number}@people.example" for number in range(4000))


def _rewrap_and_die(settings: Settings, begun: Event) -> None:
    process = Process(settings, connect(settings))

    def after_a_batch(_what: str, _done: int) -> None:
        begun.set()
        time.sleep(60)  # killed in here

    process.rotation.rewrap("alder", after_a_batch)


@pytest.mark.slow
def test_a_rewrap_killed_in_the_middle_goes_on_where_it_was(process: Process, settings: Settings) -> None:
    process.messages.insert_many([process.message(number) for number in range(1200)])
    process.rotation.rotate("alder")
    context = multiprocessing.get_context("spawn")
    begun = context.Event()
    victim = context.Process(target=_rewrap_and_die, args=(settings, begun))
    victim.start()
    assert begun.wait(60)
    os.kill(victim.pid or 0, 9)
    victim.join(30)
    left = process.needed(1)["recipient_keys"]
    assert 0 < left < 1200
    found = process.messages.get_many(range(1200))
    assert all(found[number].recipient.address == f"p{number}@people.example" for number in range(1200))
    assert process.rotation.rewrap("alder")["recipient_keys"] == left
    assert process.needed(1) == {}


def test_messages_of_before_persons_had_keys_get_them(process: Process, database: Database[dict[str, Any]]) -> None:
    made = [process.message(number) for number in range(5)]
    for message in made:
        personal = orjson.dumps({"a": message.recipient.address, "i": None, "n": None, "m": {}})
        row = {"_id": message.number, "b": "alder", "ch": "email", "h": message.address_hash, "at": NOW}
        database["messages"].insert_one({**row, "p": process.keyring.seal("alder", "message", personal)})
    assert process.needed(1) == {"messages": 5}
    process.rotation.rotate("alder")
    process.messages.forget([4])
    assert process.rotation.rewrap("alder")["messages"] == 4
    assert process.needed(1) == {}
    found = process.messages.get_many(range(5))
    assert [replace(found[number], key_id=b"") for number in range(4)] == made[:4]
    assert all(found[number].key_id for number in range(4))
    assert found[4].erased


def test_an_erase_between_reading_and_writing_an_old_message_wins(
    process: Process, database: Database[dict[str, Any]]
) -> None:
    message = process.message(1)
    personal = orjson.dumps({"a": message.recipient.address, "i": None, "n": None, "m": {}})
    row = {"_id": 1, "b": "alder", "ch": "email", "h": message.address_hash, "at": NOW}
    database["messages"].insert_one({**row, "p": process.keyring.seal("alder", "message", personal)})
    (field,) = process.messages.older("alder", 2, 10)
    process.messages.forget([1])
    assert process.messages.renew([(field, field)]) == 0
    assert process.messages.get_many([1])[1].erased


def test_documents_of_before_keys_were_counted_are_the_first_keys(
    process: Process, database: Database[dict[str, Any]]
) -> None:
    process.fill(0)
    for name in ("blocks", "endpoints", "deliveries"):
        database[name].update_many({}, {"$unset": {"kn": ""}})
    process.rotation.rotate("alder")
    expected = {"recipient_keys": 3, "blocks": 1, "endpoints": 1, "deliveries": 1}
    assert process.needed(1) == expected
    process.rotation.rewrap("alder")
    assert process.needed(1) == {"deliveries": 1}
    assert process.needed(2) == expected
    assert process.reads_all(0)


def test_what_cannot_be_opened_stays_is_counted_and_stops_nothing(
    process: Process, database: Database[dict[str, Any]]
) -> None:
    process.messages.insert_many([process.message(number) for number in range(10)])
    broken = process.recipient_keys.find_by_hash("alder", [process.message(3).address_hash])[0]
    database["recipient_keys"].update_one({"_id": broken.id}, {"$set": {"w": b"broken"}})
    process.rotation.rotate("alder")
    assert process.rotation.rewrap("alder")["recipient_keys"] == 9
    assert process.needed(1) == {"recipient_keys": 1}
    process.ahead = SETTLED_AFTER + timedelta(seconds=1)
    with pytest.raises(KeyInUse, match="1 recipient_keys"):
        process.rotation.retire("alder", 1)


def test_an_old_master_key_can_leave_after_all_keys_were_wrapped_anew(
    process: Process, start: Callable[..., Process], settings: Settings
) -> None:
    process.fill(0)
    process.fill(100, brand_id="birch")
    process.rotation.rotate("alder")
    both = start([NEW_MASTER, *settings.master_keys])
    assert both.rotation.rewrap_brand_keys() == 5
    assert both.rotation.rewrap_brand_keys() == 0
    only_new = start([NEW_MASTER])
    assert only_new.reads_all(0)
    assert only_new.reads_all(100, brand_id="birch")
    assert only_new.message(0).address_hash == process.message(0).address_hash
    assert {use.master_key_id for brand in ("alder", "birch") for use in only_new.rotation.status(brand)} == {"k2"}
    with pytest.raises(ConfigurationError, match="k2"):
        start().fill(200)


def test_status_tells_every_key_and_which_is_in_use(process: Process) -> None:
    process.fill(0)
    process.rotation.rotate("alder")
    process.brand_keys.add(replace(process.brand_keys.find("alder")[0], kind=KeyKind.TOKEN))
    uses = process.rotation.status("alder")
    assert [(use.kind.value, use.number, use.current) for use in uses] == [
        ("data", 1, False),
        ("data", 2, True),
        ("index", 1, True),
        ("token", 1, True),
    ]
    assert [use.needed_by for use in uses[2:]] == [{}, None]
    assert {use.master_key_id for use in uses} == {"k1"}
    assert process.rotation.status("nobody") == []


def test_a_brand_without_keys_gets_its_first(process: Process) -> None:
    assert process.rotation.rotate("new") == 1
    process.fill(0, brand_id="new")
    assert process.reads_all(0, brand_id="new")


def test_a_copy_in_redis_that_a_retired_key_sealed_is_replaced(
    process: Process, start: Callable[..., Process], database: Database[dict[str, Any]], redis_url: str
) -> None:
    cache = connect_redis(redis_url)
    process.blocks.insert(_block(0, "alder"))
    assert BlockCache(process.blocks, cache).find(3) == _block(0, "alder")
    (copy,) = cache.mget(["telltale:block:0"])
    process.rotation.rotate("alder")
    process.rotation.rewrap("alder")
    process.ahead = SETTLED_AFTER + timedelta(seconds=1)
    process.rotation.retire("alder", 1)
    late = start()
    assert cache.get("telltale:block:0") == copy
    assert BlockCache(late.blocks, cache).find(3) == _block(0, "alder")
    assert cache.get("telltale:block:0") != copy
    database["blocks"].delete_many({})
    assert BlockCache(start().blocks, cache).find(3) == _block(0, "alder"), "the new copy opens"
    cache.close()
