"""Rates of endpoints on a real Valkey; time is what the caller says it is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis

from app.storage.client import connect_redis
from app.storage.rates import Rates

START = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
MAIN = ("harbour", "main")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.fixture
def cache(redis_url: str) -> Iterator[redis.Redis]:
    with connect_redis(redis_url, timeout_seconds=5) as cache:
        yield cache


@pytest.fixture
def rates(cache: redis.Redis) -> Rates:
    return Rates(cache)


def test_a_second_grants_as_many_as_the_rate_and_no_more(rates: Rates) -> None:
    assert rates.take(*MAIN, 8, 10, at(0)) == (8, 0)
    assert rates.take(*MAIN, 8, 10, at(0)) == (2, 0.1)
    assert rates.take(*MAIN, 8, 10, at(0.5)) == (5, 0.1)
    assert rates.take(*MAIN, 8, 10, at(100)) == (8, 0)


def test_less_than_one_a_second_grants_one_at_a_time(rates: Rates) -> None:
    assert rates.take(*MAIN, 5, 0.2, at(0)) == (1, 5.0)
    assert rates.take(*MAIN, 5, 0.2, at(4)) == (0, 1.0)
    assert rates.take(*MAIN, 5, 0.2, at(5)) == (1, 5.0)


@pytest.mark.parametrize("rate", [0.3, 3, 7, 33.3])
def test_over_half_a_minute_the_rate_holds_whoever_asks_and_whenever(rates: Rates, rate: float) -> None:
    now, granted = 0.0, 0
    while now < 30:
        got, wait = rates.take(*MAIN, 50, rate, at(now))
        granted += got
        now += wait or 0.05
    assert 0.95 * 30 * rate - 1 <= granted <= 30 * rate + max(1, rate)


def test_a_throttled_endpoint_gets_half_its_rate_for_five_minutes(rates: Rates) -> None:
    rates.throttle(*MAIN, now=at(0))
    assert rates.take(*MAIN, 10, 10, at(0)) == (5, 0.2)
    assert rates.take(*MAIN, 10, 10, at(299)) == (5, 0.2)
    assert rates.take(*MAIN, 10, 10, at(301)) == (10, 0)


def test_throttling_again_lasts_longer_and_does_not_halve_again(rates: Rates) -> None:
    rates.throttle(*MAIN, now=at(0))
    rates.throttle(*MAIN, now=at(200))
    assert rates.throttled(*MAIN, at(499))
    assert not rates.throttled(*MAIN, at(500))
    assert rates.take(*MAIN, 10, 10, at(400)) == (5, 0.2)


def test_every_endpoint_of_every_brand_has_its_own(rates: Rates) -> None:
    rates.take(*MAIN, 10, 10, at(0))
    rates.throttle(*MAIN, now=at(0))
    assert rates.take("meadow", "main", 10, 10, at(0)) == (10, 0)
    assert not rates.throttled("harbour", "second", at(1))


def test_a_clock_that_is_behind_is_granted_nothing_twice(rates: Rates) -> None:
    rates.take(*MAIN, 10, 10, at(10))
    assert rates.take(*MAIN, 10, 10, at(5))[0] == 0
    assert rates.take(*MAIN, 10, 10, at(10.1))[0] == 1


def test_several_workers_at_once_are_granted_the_rate_together(redis_url: str, rates: Rates) -> None:
    granted: list[int] = []
    barrier = threading.Barrier(6)

    def work() -> None:
        with connect_redis(redis_url, timeout_seconds=5) as cache:
            worker = Rates(cache)
            barrier.wait()
            granted.append(worker.take(*MAIN, 8, 20, at(0))[0])

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 20


def test_everything_in_redis_ends_by_itself(cache: redis.Redis, rates: Rates) -> None:
    rates.take("harbour", "slow", 1, 0.1, at(0))
    rates.take("harbour", "fast", 1, 500, at(0))
    rates.throttle(*MAIN, now=at(0))
    kept = {key: cache.pttl(key) for key in cache.keys("telltale:*")}
    assert len(kept) == 3
    assert 0 < kept[b"telltale:rate:harbour:fast"] <= 3000
    assert 10_000 < kept[b"telltale:rate:harbour:slow"] <= 21_000
    assert 0 < kept[b"telltale:throttled:harbour:main"] <= 300_000


def test_without_redis_everything_is_granted() -> None:
    with connect_redis("redis://127.0.0.1:1/0") as cache:
        rates = Rates(cache)
        rates.throttle(*MAIN, now=at(0))
        assert rates.take(*MAIN, 100, 1, at(0)) == (100, 0)
        assert not rates.throttled(*MAIN, at(0))
