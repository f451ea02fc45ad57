"""Hints: what is remembered is known, for that message, kind, share and database only; without Redis nothing is."""

from __future__ import annotations

import random

from app.models.event import EventKind, Place, Share
from app.storage.client import connect_redis
from app.storage.first_hints import FirstHints

OPENED: Place = (5000, EventKind.OPENED, Share.HUMAN)


def test_exactly_what_was_remembered_is_known(redis_url: str) -> None:
    seeded = random.Random(1)  # not for secrets
    hints = FirstHints(connect_redis(redis_url), "store")
    # Corrections are the first of nothing.
    kinds = [kind for kind in EventKind if kind is not EventKind.RECLASSIFIED]
    numbers = [*(seeded.randrange(1 << 47) for _ in range(1500)), *range(131_000, 131_200)]
    places = {(number, seeded.choice(kinds), seeded.choice(list(Share))) for number in numbers}
    remembered = {place for place in places if seeded.random() < 0.5}
    assert hints.claim(sorted(places)) == (set(), places)
    hints.remember(remembered)
    assert hints.claim(sorted(places)) == (remembered, set()), "the others were claimed by the first call"
    assert hints.claim([]) == (set(), set())


def test_what_is_forgotten_is_not_known_and_the_rest_is(redis_url: str) -> None:
    hints = FirstHints(connect_redis(redis_url), "store")
    places: set[Place] = {(5000, EventKind.OPENED, share) for share in Share}
    hints.remember(places)
    lost: Place = (5000, EventKind.OPENED, Share.HUMAN)
    hints.forget([lost])
    assert hints.claim(sorted(places)) == (places - {lost}, {lost})


def test_another_database_knows_nothing_of_it(redis_url: str) -> None:
    FirstHints(connect_redis(redis_url), "one").remember([OPENED])
    assert FirstHints(connect_redis(redis_url), "two").claim([OPENED]) == (set(), {OPENED})


def test_without_redis_everybody_tries_and_nothing_fails() -> None:
    hints = FirstHints(connect_redis("redis://127.0.0.1:1/0"), "store")
    hints.remember([OPENED])
    assert hints.claim([OPENED]) == (set(), {OPENED})
