"""Numbers: no overlap between processes, whatever happens to Redis."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import redis
from pymongo.database import Database

from app.storage.client import connect, connect_redis
from app.storage.indexes import store_id
from app.storage.numbers import Numbers
from app.tracking.codes import NUMBER_LIMIT, Codes
from config.settings import Settings
from local.servers import Server, start_redis

Taken = list[tuple[int, int]]
LIMIT = NUMBER_LIMIT


def the_numbers(database: Database[dict[str, Any]], counter: redis.Redis, limit: int = LIMIT) -> Numbers:
    return Numbers(database, counter, limit=limit, store_id=lambda: store_id(database))


def overlaps(ranges: Taken) -> int:
    ordered = sorted(ranges)
    return sum(start < before + size for (before, size), (start, _) in itertools.pairwise(ordered))


def _allocate(settings: Settings, redis_url: str, seconds: float, seed: int, results: Connection) -> None:
    numbers = the_numbers(connect(settings), connect_redis(redis_url, timeout_seconds=1.0))
    taken: Taken = []
    until = time.monotonic() + seconds
    size = seed
    while time.monotonic() < until:
        size = (size * 7919 + 13) % 5000 + 1
        taken.append((numbers.reserve(size), size))
    results.send(taken)


def allocate_in_processes(settings: Settings, redis_url: str, disturb: Any) -> list[Taken]:
    context = multiprocessing.get_context("spawn")
    pipes, children = [], []
    for seed in range(4):
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=_allocate, args=(settings, redis_url, 3.0, seed + 1, sender))
        child.start()
        sender.close()  # a child that dies must end the wait below, not hang it
        pipes.append(receiver)
        children.append(child)
    disturb(lambda: any(child.is_alive() for child in children))
    taken = [receiver.recv() for receiver in pipes]
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    return taken


def test_emptying_redis_under_four_processes_makes_no_overlap_and_no_equal_codes(
    settings: Settings, database: Database[dict[str, Any]], redis_url: str
) -> None:
    flushes = 0

    def disturb(running: Any) -> None:
        nonlocal flushes
        client = redis.Redis.from_url(redis_url)
        while running():
            client.flushall()
            flushes += 1
            time.sleep(0.1)
        client.close()

    taken = allocate_in_processes(settings, redis_url, disturb)
    ranges = [item for process in taken for item in process]
    assert min(len(process) for process in taken) > 20, "every process reserved while Redis was being emptied"
    assert flushes > 10
    assert overlaps(ranges) == 0
    codes = Codes(settings.code_key).encode_many([start + offset for start, size in ranges for offset in (0, size - 1)])
    distinct = {start + offset for start, size in ranges for offset in (0, size - 1)}
    assert len(set(codes)) == len(distinct)


def test_killing_redis_under_four_processes_makes_no_overlap(
    settings: Settings, database: Database[dict[str, Any]], tmp_path: Path
) -> None:
    server = start_redis(tmp_path / "redis")
    restarted: list[Server] = []

    def disturb(running: Any) -> None:
        current = server
        while running():
            time.sleep(0.5)
            current.kill()
            time.sleep(0.2)
            current = start_redis(tmp_path / "redis", port=server.port)
            restarted.append(current)

    try:
        taken = allocate_in_processes(settings, server.url, disturb)
    finally:
        for each in (server, *restarted):
            each.stop()
    ranges = [item for process in taken for item in process]
    assert restarted
    assert len(ranges) > 100
    assert overlaps(ranges) == 0


def test_an_older_copy_of_the_counter_is_not_believed(
    settings: Settings, database: Database[dict[str, Any]], tmp_path: Path
) -> None:
    """A replica that was promoted, or a restored file, counts from a number that was given out already."""
    server = start_redis(tmp_path / "redis")
    client = connect_redis(server.url, timeout_seconds=1.0)
    numbers = the_numbers(database, client)
    first = numbers.reserve(10)
    old = client.hgetall("telltale:numbers")
    given = [(first, 10), *((numbers.reserve(10), 10) for _ in range(50))]
    server.stop()
    server = start_redis(tmp_path / "redis", port=server.port)
    try:
        client.hset("telltale:numbers", mapping=old)
        given += [(numbers.reserve(10), 10) for _ in range(50)]
    finally:
        client.close()
        server.stop()
    assert overlaps(given) == 0


def test_numbers_come_without_redis_too(settings: Settings, database: Database[dict[str, Any]]) -> None:
    numbers = the_numbers(database, connect_redis("redis://127.0.0.1:1/0", timeout_seconds=0.2))
    starts = [numbers.reserve(100) for _ in range(5)]
    assert starts == [starts[0] + 100 * step for step in range(5)]


def test_a_request_larger_than_a_range_gets_a_range_of_its_own(
    database: Database[dict[str, Any]], redis_url: str
) -> None:
    numbers = the_numbers(database, connect_redis(redis_url))
    small, large, again = numbers.reserve(10), numbers.reserve(14_000_000), numbers.reserve(10)
    assert overlaps([(small, 10), (large, 14_000_000), (again, 10)]) == 0


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_that_is_not_positive_is_refused(database: Database[dict[str, Any]], redis_url: str, size: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        the_numbers(database, connect_redis(redis_url)).reserve(size)


def test_numbers_end_before_the_limit(database: Database[dict[str, Any]], redis_url: str) -> None:
    numbers = the_numbers(database, connect_redis(redis_url), 2 + (1 << 20))
    numbers.reserve(1 << 20)
    with pytest.raises(ValueError, match="left"):
        numbers.reserve(1)


def test_a_new_database_begins_elsewhere_and_never_in_the_old_ones_range(
    settings: Settings, database: Database[dict[str, Any]], redis_url: str
) -> None:
    before = the_numbers(database, connect_redis(redis_url)).reserve(10)
    database.client.drop_database(database.name)
    after = the_numbers(database, connect_redis(redis_url)).reserve(10)
    mark = database["counters"].find_one({"_id": "numbers"})
    assert abs(after - before) > 1 << 20
    assert mark is not None
    assert after < mark["next"]


def test_a_mark_behind_the_range_of_redis_is_found_and_raised(
    settings: Settings, database: Database[dict[str, Any]], redis_url: str
) -> None:
    """A backup of MongoDB from before the last range, restored under a Redis that went on."""
    numbers = the_numbers(database, connect_redis(redis_url))
    numbers.reserve(10)
    backup = database["counters"].find_one({"_id": "numbers"})
    assert backup is not None
    given = [(numbers.reserve(1 << 20), 1 << 20), (numbers.reserve(10), 10)]
    database["counters"].replace_one({"_id": "numbers"}, backup)
    assert len(numbers.check()) == 1
    assert numbers.check() == []
    assert overlaps([*given, (numbers.reserve(1 << 20), 1 << 20)]) == 0


def test_a_mark_behind_the_stored_blocks_is_found_and_raised(
    settings: Settings, database: Database[dict[str, Any]], redis_url: str
) -> None:
    numbers = the_numbers(database, connect_redis(redis_url))
    start = numbers.reserve(10)
    assert numbers.check() == []
    database["blocks"].insert_one({"_id": start + 50_000_000, "end": start + 50_000_100, "b": "acme"})
    assert len(numbers.check()) == 1
    assert numbers.check() == []
    assert numbers.reserve(10) >= start + 50_000_100
