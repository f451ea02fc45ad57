"""Traces: what was left is there for whoever comes next, of that message and database only."""

from __future__ import annotations

import random
from collections.abc import Callable

from app.models.event import EventKind, Share
from app.models.trace import CLICKED, CLICKS, HIT, IMPLIES, KNOWN, LOOKED_AT, ONE_CLICK, TAINTED, claimed
from app.storage.client import connect_redis
from app.storage.traces import Traces

OPENED = KNOWN[EventKind.OPENED, Share.HUMAN]


def traces(url: str, store: str = "store", *, recent: Callable[[int], bool] = lambda _: False) -> Traces:
    return Traces(connect_redis(url), store, recent)


def entered(found: Traces, claims: dict[int, int]) -> dict[int, int]:
    answer = found.enter(claims)
    assert answer is not None
    return dict(answer.traces)


def test_what_was_left_is_read_and_nothing_else(redis_url: str) -> None:
    seeded = random.Random(1)  # not for secrets
    found = traces(redis_url)
    messages = sorted(
        {number * 4 for number in (*(seeded.randrange(1 << 45) for _ in range(1500)), *range(8000, 8700))}
    )
    bits = {message: seeded.choice((HIT, HIT | TAINTED, HIT | OPENED)) for message in messages}
    left = {message: bits[message] for message in messages if seeded.random() < 0.5}
    assert found.leave(left) == dict.fromkeys(left, 0)
    assert entered(found, dict.fromkeys(messages, 0)) == {message: left.get(message, 0) for message in messages}
    assert entered(found, {}) == {}


def test_of_two_who_claim_the_later_sees_it(redis_url: str) -> None:
    found = traces(redis_url)
    assert entered(found, {5000: claimed(OPENED)}) == {5000: 0}
    assert entered(found, {5000: claimed(OPENED)}) == {5000: claimed(OPENED)}


def test_a_click_claims_the_open_it_implies_only_where_none_is_known(redis_url: str) -> None:
    found = traces(redis_url)
    proxied = KNOWN[EventKind.OPENED, Share.PROXY]
    found.leave({5000: HIT, 5004: HIT | proxied, 5008: HIT | OPENED})
    entered(found, {5000: IMPLIES, 5004: IMPLIES, 5008: IMPLIES})
    after = entered(found, {5000: 0, 5004: 0, 5008: 0})
    assert after == {5000: HIT | claimed(OPENED), 5004: HIT | proxied, 5008: HIT | OPENED}


def test_two_clicks_at_once_see_that_they_were_two(redis_url: str) -> None:
    found = traces(redis_url)
    found.leave({5000: HIT | CLICKED})
    before = entered(found, {5000: 0})[5000] & LOOKED_AT
    one, other = (found.leave({5000: HIT | CLICKED}) for _ in range(2))
    assert one is not None
    assert other is not None
    assert one[5000] & LOOKED_AT == before
    assert other[5000] & LOOKED_AT == before + ONE_CLICK


def test_the_count_of_clicks_goes_round_and_touches_nothing_else(redis_url: str) -> None:
    found = traces(redis_url)
    everything = 0x0FFF_F00D
    found.leave({5000: everything})
    for _ in range(300):
        found.leave({5000: CLICKED})
    trace = entered(found, {5000: 0})[5000]
    assert trace & ~CLICKS == everything | CLICKED
    assert (trace & CLICKS) // ONE_CLICK == 300 % 256


def test_what_is_forgotten_is_not_known_and_the_rest_is(redis_url: str) -> None:
    found = traces(redis_url)
    every = sum(KNOWN.values())
    found.leave({5000: every | HIT, 5004: every})
    found.forget_firsts([(5000, EventKind.OPENED, Share.HUMAN), (5000, EventKind.CLICKED, Share.APPLE)])
    lost = OPENED | KNOWN[EventKind.CLICKED, Share.APPLE]
    assert entered(found, {5000: 0, 5004: 0}) == {5000: (every & ~lost) | HIT, 5004: every}


def test_a_hand_over_is_read_with_the_traces_and_only_of_its_message(redis_url: str) -> None:
    found = traces(redis_url)
    found.hand_over(5000, 1_790_000_000_999)
    answer = found.enter({5000: 0, 5004: 0, 9_000_000: 0})
    assert answer is not None
    assert answer.handed_over == {5000: 1_790_000_000_000}


def test_another_database_knows_nothing_of_it(redis_url: str) -> None:
    traces(redis_url, "one").leave({5000: HIT})
    assert entered(traces(redis_url, "two"), {5000: 0}) == {5000: 0}


def test_a_redis_that_lost_everything_is_not_believed_for_a_while(redis_url: str) -> None:
    assert traces(redis_url, "old", recent=lambda _: True).enter({5000: 0}) is None
    assert traces(redis_url, "new", recent=lambda _: False).enter({5000: 0}) is not None
    connect_redis(redis_url).set("telltale:trace:old:since", 1)
    assert traces(redis_url, "old", recent=lambda _: True).enter({5000: 0}) is not None


def test_without_redis_nobody_knows_and_nothing_fails() -> None:
    found = traces("redis://127.0.0.1:1/0")
    assert found.enter({5000: 0}) is None
    assert found.leave({5000: HIT}) is None
    found.forget_firsts([(5000, EventKind.OPENED, Share.HUMAN)])
    found.hand_over(5000, 1_790_000_000_000)
