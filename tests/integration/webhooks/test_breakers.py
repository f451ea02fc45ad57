"""The endpoints' breakers on a real Valkey: shared by all workers, lost without harm."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
import redis

from app.models.breaker import Permit
from app.storage.breakers import Breakers
from app.storage.client import connect_redis
from app.storage.rates import Rates
from app.webhooks.breaker import BreakerRules

START = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
MAIN = ("harbour", "main")
T = TypeVar("T")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class CountingRedis(redis.Redis):
    """Remembers what it was asked."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked: list[str] = []

    def execute_command(self, *args: Any, **options: Any) -> Any:
        self.asked.append(args[0])
        return super().execute_command(*args, **options)


@pytest.fixture
def cache(redis_url: str) -> Iterator[CountingRedis]:
    with CountingRedis.from_url(redis_url) as cache:
        yield cache


@pytest.fixture
def breakers(cache: redis.Redis) -> Breakers:
    return Breakers(cache, BreakerRules())


@pytest.fixture
def another(redis_url: str) -> Iterator[Breakers]:
    """Another worker's."""
    with connect_redis(redis_url) as cache:
        yield Breakers(cache, BreakerRules())


@pytest.fixture
def at_once(redis_url: str) -> Callable[[Callable[[Breakers], T]], list[T]]:
    """Runs a call in six workers, each with a connection of its own, at the same moment."""

    def run(call: Callable[[Breakers], T]) -> list[T]:
        answers: list[T] = []
        barrier = threading.Barrier(6)

        def work() -> None:
            with connect_redis(redis_url, timeout_seconds=5) as cache:
                breakers = Breakers(cache, BreakerRules())
                cache.ping()
                barrier.wait()
                answers.append(call(breakers))

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    return run


def test_what_one_worker_sees_another_knows(breakers: Breakers, another: Breakers) -> None:
    breakers.note(*MAIN, ok=0, failed=6, hung=0, now=at(0))
    another.note(*MAIN, ok=0, failed=4, hung=0, now=at(1))
    refused = Permit(False, open_until=at(31), open_since=at(1))
    assert breakers.permit(*MAIN, at(2)) == another.permit(*MAIN, at(2)) == refused


def test_every_endpoint_of_every_brand_has_its_own(breakers: Breakers) -> None:
    breakers.note(*MAIN, ok=0, failed=10, hung=0, now=at(0))
    assert not breakers.permit("harbour", "main", at(1)).allowed
    assert breakers.permit("harbour", "second", at(1)).allowed
    assert breakers.permit("meadow", "main", at(1)).allowed


def test_of_several_workers_at_once_one_gets_the_probe(
    breakers: Breakers, at_once: Callable[[Callable[[Breakers], Permit]], list[Permit]]
) -> None:
    breakers.note(*MAIN, ok=0, failed=10, hung=0, now=at(0))
    permits = at_once(lambda worker: worker.permit(*MAIN, at(30)))
    assert sorted(permit.probe for permit in permits) == [False] * 5 + [True]
    assert sorted(permit.allowed for permit in permits) == [False] * 5 + [True]


def test_a_failing_endpoint_whose_breaker_was_lost_gives_one_probe_to_several_workers(
    at_once: Callable[[Callable[[Breakers], Permit]], list[Permit]],
) -> None:
    permits = at_once(lambda worker: worker.permit(*MAIN, at(0), failing_since=at(-900)))
    assert sum(permit.probe for permit in permits) == 1
    assert {permit.open_since for permit in permits} == {at(-900)}


def test_notes_of_several_workers_at_once_add_up_to_one_opening(
    breakers: Breakers, at_once: Callable[[Callable[[Breakers], Permit]], list[Permit]]
) -> None:
    at_once(lambda worker: worker.note(*MAIN, ok=0, failed=2, hung=0, now=at(0)))
    assert breakers.permit(*MAIN, at(1)) == Permit(False, open_until=at(30), open_since=at(0))


def test_two_probes_close_it_for_all(breakers: Breakers, another: Breakers) -> None:
    breakers.note(*MAIN, ok=0, failed=10, hung=0, now=at(0))
    assert another.permit(*MAIN, at(30)).probe
    assert another.note(*MAIN, ok=1, failed=0, hung=0, now=at(31)).probe
    assert breakers.permit(*MAIN, at(32)).probe
    assert breakers.note(*MAIN, ok=1, failed=0, hung=0, now=at(33)) == Permit()
    assert another.permit(*MAIN, at(34)) == Permit()


def test_a_flushed_redis_closes_what_health_does_not_know_of(cache: CountingRedis, breakers: Breakers) -> None:
    breakers.note(*MAIN, ok=0, failed=10, hung=0, now=at(0))
    cache.flushall()
    assert breakers.permit(*MAIN, at(1)) == Permit()
    assert not breakers.note(*MAIN, ok=0, failed=10, hung=0, now=at(2)).allowed


def test_a_run_costs_two_calls(cache: CountingRedis, breakers: Breakers) -> None:
    breakers.note(*MAIN, ok=1, failed=0, hung=0, now=at(0))  # also loads the script
    cache.asked.clear()
    breakers.permit(*MAIN, at(1))
    breakers.note(*MAIN, ok=5, failed=1, hung=0, now=at(2))
    assert cache.asked == ["MGET", "EVALSHA"]


def test_a_permit_says_whether_the_endpoint_is_throttled(cache: CountingRedis, breakers: Breakers) -> None:
    Rates(cache).throttle(*MAIN, now=at(0))
    assert breakers.permit(*MAIN, at(299)) == Permit(throttled=True)
    assert breakers.permit(*MAIN, at(300)) == Permit()
    assert not breakers.permit("meadow", "main", at(1)).throttled


def test_everything_in_redis_ends_by_itself(cache: CountingRedis, breakers: Breakers) -> None:
    breakers.note("harbour", "well", ok=1, failed=0, hung=0, now=at(0))
    breakers.note("harbour", "dead", ok=0, failed=10, hung=0, now=at(0))
    kept = {key: cache.pttl(key) for key in cache.keys("telltale:breaker:*")}
    assert 0 < kept[b"telltale:breaker:harbour:well"] <= 600_000
    assert 600_000 < kept[b"telltale:breaker:harbour:dead"] <= 86_400_000


def test_what_another_version_left_is_as_good_as_lost(cache: CountingRedis, breakers: Breakers) -> None:
    for value in (b"[]", b"nonsense", b'["ajar",0,0,0,0,0,[]]', b'["closed",0,0,0,0,0,[[1]]]', b"7"):
        cache.set("telltale:breaker:harbour:main", value)
        assert breakers.permit(*MAIN, at(0)) == Permit()
        assert breakers.note(*MAIN, ok=0, failed=1, hung=0, now=at(1)).allowed


def test_without_redis_a_process_goes_by_what_it_has_seen(unreachable: redis.Redis) -> None:
    alone = Breakers(unreachable, BreakerRules())
    assert alone.permit(*MAIN, at(0)) == Permit()
    assert not alone.note(*MAIN, ok=0, failed=10, hung=0, now=at(1)).allowed
    assert alone.permit(*MAIN, at(2)) == Permit(False, open_until=at(31), open_since=at(1))
    assert alone.permit(*MAIN, at(31)).probe
    assert alone.permit("meadow", "main", at(31), failing_since=at(-60)).probe


@pytest.fixture
def unreachable() -> Iterator[redis.Redis]:
    with connect_redis("redis://127.0.0.1:1/0") as cache:
        yield cache
