"""What look-ups cost MongoDB, counted where its driver sends the commands."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.monitoring import CommandListener

from app.models.block import Block, Channel, Link
from app.privacy.keyring import Keyring
from app.storage.block_cache import BlockCache
from app.storage.blocks import Blocks
from app.storage.brand_keys import BrandKeys
from app.storage.client import connect_redis
from app.tracking.codes import NUMBER_LIMIT
from config.settings import Settings
from local.ports import free_port


class Finds(CommandListener):
    """The `find` commands on blocks."""

    def __init__(self) -> None:
        self.number = 0

    def started(self, event: Any) -> None:
        self.number += event.command_name == "find" and event.command["find"] == "blocks"

    def succeeded(self, event: Any) -> None:
        """Not counted."""

    def failed(self, event: Any) -> None:
        """Not counted."""


@pytest.fixture
def finds() -> Finds:
    return Finds()


@pytest.fixture
def listened(
    settings: Settings, database: Database[dict[str, Any]], finds: Finds
) -> Iterator[Database[dict[str, Any]]]:
    client: MongoClient[dict[str, Any]] = MongoClient(settings.mongo_url, event_listeners=[finds], tz_aware=True)
    yield client.get_database(database.name, write_concern=database.write_concern)
    client.close()


def _block(start: int, count: int) -> Block:
    links = (Link("https://shop.alder.example/"),)
    return Block(start, count, 5, "alder", Channel.EMAIL, links, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def caches(settings: Settings, listened: Database[dict[str, Any]]) -> Iterator[tuple[BlockCache, BlockCache]]:
    """Two processes' caches before one store; two blocks with a gap between them are stored."""
    blocks = Blocks(listened, Keyring(settings.master_keys, BrandKeys(listened)))
    redis = connect_redis(settings.redis_url)
    for block in (_block(1000, 10), _block(2000, 10)):
        blocks.insert(block)
    yield BlockCache(blocks, redis), BlockCache(blocks, redis)
    redis.close()


def test_a_batch_of_guessed_codes_costs_a_handful_of_queries(
    caches: tuple[BlockCache, BlockCache], finds: Finds
) -> None:
    guessed = random.Random(7).sample(range(NUMBER_LIMIT), 2000)
    assert caches[0].find_many([*guessed, 1001, 2049]).keys() == {1001, 2049}
    assert finds.number <= 4
    before = finds.number
    assert caches[1].find_many([*guessed, 1002]).keys() == {1002}
    assert finds.number <= before + 2, "found in Redis, the rest outside of all blocks"


def test_numbers_at_the_edges_and_in_gaps_are_answered_as_one_by_one(caches: tuple[BlockCache, BlockCache]) -> None:
    numbers = [0, 999, 1000, 1049, 1050, 1999, 2000, 2049, 2050, NUMBER_LIMIT - 1]
    inside = {1000, 1049, 2000, 2049}
    assert caches[0].find_many(numbers).keys() == inside
    assert {number for number in numbers if caches[1].find(number)} == inside


def test_without_redis_mongodb_answers(settings: Settings, database: Database[dict[str, Any]]) -> None:
    redis = connect_redis(f"redis://127.0.0.1:{free_port()}/0")
    blocks = Blocks(database, Keyring(settings.master_keys, BrandKeys(database)))
    cache = BlockCache(blocks, redis, kept=1)
    for block in (_block(1000, 10), _block(2000, 10)):
        blocks.insert(block)
    for number in (1001, 2001, 1001, 2001):
        found = cache.find(number)
        assert found is not None
        assert found.start <= number < found.end
    redis.close()


def test_what_is_tracked_personal_or_a_trap_comes_back(
    settings: Settings, caches: tuple[BlockCache, BlockCache], database: Database[dict[str, Any]]
) -> None:
    shop = "https://shop.alder.example/"
    links = (
        Link(shop + "{{ id }}", "Shop", personal=True),
        Link(shop),
        Link(shop, "trap", trap=True),
        Link("{{ x }}", "trap", personal=True, fallback=shop, trap=True),
    )
    at = datetime(2026, 1, 1, tzinfo=UTC)
    block = Block(3000, 2, 8, "alder", Channel.SMS, links, at, "c", "l", "j", track_opens=False, track_clicks=False)
    Blocks(database, Keyring(settings.master_keys, BrandKeys(database))).insert(block)
    for cache in caches:  # from MongoDB, then from Redis
        assert cache.find(3001) == block


def test_without_any_block_nothing_is_found(settings: Settings, database: Database[dict[str, Any]]) -> None:
    redis = connect_redis(settings.redis_url)
    cache = BlockCache(Blocks(database, Keyring(settings.master_keys, BrandKeys(database))), redis)
    assert cache.find_many(range(10)) == {}
    redis.close()
