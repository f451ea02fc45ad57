"""Our clock against those of a real MongoDB and a real Valkey, and what one of them alone may not decide."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from app.errors import StoreUnavailable
from app.lib import clock
from app.storage.client import connect_redis
from app.storage.server_clocks import server_clocks
from app.webhooks.skew import ASK_EVERY_SECONDS, MAX_SKEW_SECONDS, ClockSkew

Clocks = dict[str, Callable[[], datetime]]


@pytest.fixture
def clocks(database: Database[dict[str, Any]], redis_url: str) -> Clocks:
    return server_clocks(database, connect_redis(redis_url))


def shifted(seconds: float) -> Callable[[], datetime]:
    return lambda: clock.now() + timedelta(seconds=seconds)


def unavailable() -> datetime:
    raise StoreUnavailable("did not answer")


def test_a_clock_that_is_right_may_sign(clocks: Clocks) -> None:
    skew = ClockSkew(clocks)
    assert abs(skew.seconds()) < 1
    assert not skew.too_large


@pytest.mark.parametrize("seconds", [600.0, -600.0])
def test_a_clock_ten_minutes_off_may_not_sign_and_says_so(
    clocks: Clocks, seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    skew = ClockSkew(clocks, now=shifted(seconds))
    assert skew.too_large
    assert skew.seconds() == pytest.approx(seconds, abs=2)
    assert [record.levelno for record in caplog.records if record.msg == "webhook_clock_is_wrong"] == [logging.ERROR]


@pytest.mark.parametrize(("seconds", "too_large"), [(119, False), (121, True), (-119, False), (-121, True)])
def test_the_limit_is_two_minutes_either_way(seconds: float, too_large: bool) -> None:
    fixed = datetime(2026, 1, 1, tzinfo=UTC)
    skew = ClockSkew({"one": lambda: fixed}, now=lambda: fixed + timedelta(seconds=seconds))
    assert skew.too_large == too_large


def test_one_servers_wrong_clock_is_its_own_fault(clocks: Clocks, caplog: pytest.LogCaptureFixture) -> None:
    skew = ClockSkew({**clocks, "third": shifted(-3600)})
    assert not skew.too_large
    assert "webhook_clocks_differ" in caplog.messages


def test_servers_that_do_not_answer_keep_nothing_back(clocks: Clocks) -> None:
    assert not ClockSkew({"mongodb": unavailable, "redis": unavailable}).too_large
    assert ClockSkew({**clocks, "mongodb": unavailable}, now=shifted(600)).too_large


def test_a_server_that_is_gone_has_no_time(database: Database[dict[str, Any]]) -> None:
    gone = server_clocks(database, connect_redis("redis://127.0.0.1:1"))
    with pytest.raises(StoreUnavailable):
        gone["redis"]()
    assert not ClockSkew(gone).too_large


def test_a_slow_answer_is_no_wrong_clock() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    times = iter([start, start + timedelta(seconds=400)])
    assert ClockSkew({"slow": lambda: start + timedelta(seconds=7)}, now=lambda: next(times)).seconds() == 0


def test_servers_are_asked_now_and_then_and_a_clock_set_right_signs_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    asked: list[float] = []
    moment, off = 0.0, MAX_SKEW_SECONDS + 1

    def theirs() -> datetime:
        asked.append(moment)
        return datetime(2026, 1, 1, tzinfo=UTC)

    skew = ClockSkew(
        {"one": theirs},
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=off),
        monotonic=lambda: moment,
    )
    assert all(skew.too_large for _ in range(5))
    off = 0.0
    assert skew.too_large
    moment = ASK_EVERY_SECONDS
    assert not skew.too_large
    assert asked == [0.0, ASK_EVERY_SECONDS]
    assert "webhook_clock_is_right_again" in caplog.messages


def test_nobody_waits_for_a_server_that_another_is_asking() -> None:
    asking, answer = threading.Event(), threading.Event()

    def slow() -> datetime:
        asking.set()
        answer.wait(10)
        return clock.now()

    skew = ClockSkew({"slow": slow})
    thread = threading.Thread(target=skew.seconds)
    thread.start()
    try:
        asking.wait(10)
        assert skew.seconds() == 0
    finally:
        answer.set()
        thread.join()
