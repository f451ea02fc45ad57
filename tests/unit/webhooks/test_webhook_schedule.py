"""When a failed delivery is tried again."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.webhooks.schedule import DELAYS, MAX_RETRY_AFTER, next_delay, retry_after_seconds

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
