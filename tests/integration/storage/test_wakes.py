"""Wakes: one waiting task per endpoint, a new one as soon as the first has begun, all of them without Redis."""

from __future__ import annotations

from app.storage.client import connect_redis
from app.storage.wakes import Wakes

MAIN, SPARE = ("acme", "main"), ("acme", "spare")


def test_a_second_task_is_not_wanted_until_the_first_has_begun(redis_url: str) -> None:
    wakes = Wakes(connect_redis(redis_url))
    assert wakes.claim([MAIN, SPARE]) == [MAIN, SPARE]
    assert wakes.claim([MAIN, SPARE]) == []
    wakes.begun(MAIN)
    assert wakes.claim([MAIN, SPARE]) == [MAIN]


def test_a_mark_whose_task_was_lost_ends_by_itself(redis_url: str) -> None:
    client = connect_redis(redis_url)
    Wakes(client).claim([MAIN])
    (key,) = client.keys("telltale:woken:*")  # type: ignore[misc]  # redis-py types both clients at once
    assert 0 < client.pttl(key) <= 15_000  # type: ignore[operator]  # as above


def test_without_redis_every_task_is_wanted_and_begins() -> None:
    wakes = Wakes(connect_redis("redis://127.0.0.1:1/0"))
    wakes.begun(MAIN)
    assert wakes.claim([MAIN]) == [MAIN]
