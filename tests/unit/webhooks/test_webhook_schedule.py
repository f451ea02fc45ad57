"""When a failed delivery is tried again."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.webhooks.schedule import (
    DELAYS,
    HORIZON_SECONDS,
    MAX_RETRY_AFTER,
    is_expired,
    next_delay,
    retry_after_seconds,
    wait_seconds,
)

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def test_ten_attempts_in_75_h_35_m_5_s() -> None:
    assert len(DELAYS) + 1 == 10
    assert sum(DELAYS) == 75 * 3600 + 35 * 60 + 5
    assert next_delay(10, random.Random(1)) is None


@given(st.integers(1, 9), st.integers())
def test_jitter_stays_within_a_fifth(attempts: int, seed: int) -> None:
    delay = next_delay(attempts, random.Random(seed))
    assert delay is not None
    assert 0.8 * DELAYS[attempts - 1] <= delay <= 1.2 * DELAYS[attempts - 1]


def test_a_factor_shortens_every_delay() -> None:
    assert next_delay(9, random.Random(1), factor=0.001) == pytest.approx(
        0.001 * next_delay(9, random.Random(1))  # type: ignore[operator]
    )


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("9999999999", MAX_RETRY_AFTER),
        ("Thu, 01 Jan 2026 12:01:30 GMT", 90),
        ("Thursday, 01-Jan-26 12:01:30 GMT", 90),
        ("Thu Jan  1 12:01:30 2026", 90),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0),
        ("Thu, 01 Jan 2099 00:00:00 GMT", MAX_RETRY_AFTER),
    ],
)
def test_retry_after_is_read_in_every_form_of_rfc_9110(header: str, seconds: float) -> None:
    assert retry_after_seconds(header, NOW) == seconds


@pytest.mark.parametrize(
    "header", [None, "", "-5", "3.5", "120, 240", "٣٠", "soon", "12345678901", "Thu, 99 Foo 2026", "1e3", "+5"]
)
def test_what_is_not_a_retry_after_is_ignored(header: str | None) -> None:
    assert retry_after_seconds(header, NOW) == 0


@given(st.text(max_size=60))
def test_no_header_can_break_the_schedule(header: str) -> None:
    assert 0 <= retry_after_seconds(header, NOW) <= MAX_RETRY_AFTER


def test_only_spaces_and_tabs_may_surround_a_retry_after() -> None:
    assert retry_after_seconds("\t120 ", NOW) == 120
    assert retry_after_seconds("\u00a0120", NOW) == 0


@given(st.integers(1, 3), st.integers())
def test_an_endpoints_own_delays_replace_the_schedule_and_have_jitter_too(attempts: int, seed: int) -> None:
    own = (1.0, 20.0, 300.0)
    delay = next_delay(attempts, random.Random(seed), delays=own)
    assert delay is not None
    assert 0.8 * own[attempts - 1] <= delay <= 1.2 * own[attempts - 1]
    assert next_delay(4, random.Random(seed), delays=own) is None


def test_what_the_endpoint_asks_for_lengthens_the_schedule_and_never_shortens_it() -> None:
    assert wait_seconds(5, 120, created_at=NOW, now=NOW) == 120
    assert wait_seconds(300, 120, created_at=NOW, now=NOW) == 300


def test_nobody_may_ask_for_more_than_six_hours() -> None:
    assert wait_seconds(5, 7 * 3600, created_at=NOW, now=NOW) == MAX_RETRY_AFTER


def test_nobody_is_put_off_beyond_the_horizon_but_the_schedule_may_go_on() -> None:
    late = NOW + timedelta(seconds=HORIZON_SECONDS - 60)
    assert wait_seconds(0, 3600, created_at=NOW, now=late) == 60
    assert wait_seconds(24 * 3600, 3600, created_at=NOW, now=late) == 24 * 3600
    assert wait_seconds(5, 3600, created_at=NOW, now=late + timedelta(hours=2)) == 5


def test_429_for_eighty_hours_ends_at_72() -> None:
    now, tries = NOW, 0
    while not is_expired(NOW, now):
        now += timedelta(seconds=wait_seconds(0, 6 * 3600, created_at=NOW, now=now))
        tries += 1
    assert now == NOW + timedelta(hours=72)
    assert tries == 12


def test_a_factor_brings_the_horizon_nearer() -> None:
    assert is_expired(NOW, NOW + timedelta(seconds=HORIZON_SECONDS / 1000), factor=0.001)
    assert not is_expired(NOW, NOW + timedelta(seconds=HORIZON_SECONDS / 1000))
