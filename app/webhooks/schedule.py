"""When a failed delivery is tried again: the schedule of Standard Webhooks 1.0.0 with jitter, and `Retry-After`.

Retries live in MongoDB as a time (`app.storage.deliveries`), never in a broker's countdown.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

_MINUTE, _HOUR = 60.0, 3600.0
DELAYS = (5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR)
"""Seconds from the end of attempt 1, 2, … to the next; with the first attempt at once 10 attempts in 75 h 35 m 05 s."""
MAX_RETRY_AFTER = 6 * _HOUR


class Random(Protocol):
    """`random.Random`, or a test's own."""

    def uniform(self, a: float, b: float, /) -> float: ...


def next_delay(attempts: int, rng: Random, *, factor: float = 1.0) -> float | None:
    """Seconds to wait after the end of an attempt that failed.

    Args:
        attempts: how many were made, at least 1.
        factor: multiplies every delay, so that a test sees the schedule in seconds.
    Returns:
        None when the attempts are used up.
    """
    if attempts > len(DELAYS):
        return None
    return DELAYS[attempts - 1] * rng.uniform(0.8, 1.2) * factor


def retry_after_seconds(value: str | None, now: datetime) -> float:
    """What a `Retry-After` header asks for, in seconds, at most 6 h; 0 for a past date and for what cannot be read.

    RFC 9110 section 10.2.3. Digits are ASCII digits only: `str.isdigit` also takes Arabic-Indic ones.
    """
    if value is None:
        return 0.0
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_RETRY_AFTER) if len(text) <= 10 else 0.0
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0  # not a date either: the schedule alone decides
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)  # asctime and dates without a zone are UTC in HTTP
    try:
        seconds = (moment - now).total_seconds()
    except OverflowError:
        return 0.0
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)
