"""Hints: what is remembered is known, for that message, kind and database only; without Redis nothing is known."""

from __future__ import annotations

import random

from app.models.event import EventKind
from app.storage.client import connect_redis
from app.storage.first_hints import FirstHints


def test_exactly_what_was_remembered_is_known(redis_url: str) -> None:
    seeded = random.Random(1)  # not for secrets
    hints = FirstHints(connect_redis(redis_url), "store")
    kinds = list(EventKind)
    pairs = {(seeded.randrange(1 << 47), seeded.choice(kinds)) for _ in range(1500)}
    pairs |= {(number, seeded.choice(kinds)) for number in range(131_000, 131_200)}
    remembered = {pair for pair in pairs if seeded.random() < 0.5}
    assert hints.claim(sorted(pairs)) == (set(), pairs)
    hints.remember(remembered)
    assert hints.claim(sorted(pairs)) == (remembered, set()), "the others were claimed by the first call"
    assert hints.claim([]) == (set(), set())


def test_another_database_knows_nothing_of_it(redis_url: str) -> None:
    pair = (5000, EventKind.OPENED)
    FirstHints(connect_redis(redis_url), "one").remember([pair])
    assert FirstHints(connect_redis(redis_url), "two").claim([pair]) == (set(), {pair})


def test_without_redis_everybody_tries_and_nothing_fails() -> None:
    hints = FirstHints(connect_redis("redis://127.0.0.1:1/0"), "store")
    hints.remember([(5000, EventKind.OPENED)])
    assert hints.claim([(5000, EventKind.OPENED)]) == (set(), {(5000, EventKind.OPENED)})
