"""When a failed delivery is tried again: the schedule of Standard Webhooks 1.0.0 with jitter, and `Retry-After`.

Retries live in MongoDB as a time (`app.storage.deliveries`), never in a broker's countdown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol

_MINUTE, _HOUR = 60.0, 3600.0
DELAYS = (5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR)
"""Seconds from the end of attempt 1, 2, … to the next; with the first attempt at once 10 attempts in 75 h 35 m 05 s."""
MAX_RETRY_AFTER = 6 * _HOUR
HORIZON_SECONDS = 72 * _HOUR
"""So long after it was made a delivery is no longer put off by its endpoint. The schedule itself may go on longer."""
EXPIRED = "expired"
"""Why a delivery is dead that was put off until then."""


class Random(Protocol):
    """`random.Random`, or a test's own."""

    def uniform(self, a: float, b: float, /) -> float: ...


def next_delay(attempts: int, rng: Random, *, factor: float = 1.0, delays: Sequence[float] = ()) -> float | None:
    """Seconds to wait after the end of an attempt that failed.

    Args:
        attempts: how many were made, at least 1.
        factor: multiplies every delay, so that a test sees the schedule in seconds.
        delays: the endpoint's own (`Endpoint.delays`); empty for the usual ones.
    Returns:
        None when the attempts are used up.
    """
    steps = delays or DELAYS
    if attempts > len(steps):
        return None
    return steps[attempts - 1] * rng.uniform(0.8, 1.2) * factor


def wait_seconds(scheduled: float, asked: float, *, created_at: datetime, now: datetime, factor: float = 1.0) -> float:
    """How long a delivery waits: what the endpoint asks for can make it longer, at most 6 h and up to the horizon.

    Args:
        scheduled: `next_delay`; 0 when the attempt did not count.
        asked: `Answer.retry_after` or `Answer.pause_seconds`.
    """
    left = (_horizon(created_at, factor) - now).total_seconds()
    return max(scheduled, min(asked, MAX_RETRY_AFTER, max(0.0, left)))


def is_expired(created_at: datetime, now: datetime, *, factor: float = 1.0) -> bool:
    """Whether a delivery whose attempt did not count has been put off long enough: it is dead then (`EXPIRED`)."""
    return now >= _horizon(created_at, factor)


def _horizon(created_at: datetime, factor: float) -> datetime:
    return created_at + timedelta(seconds=HORIZON_SECONDS * factor)


def retry_after_seconds(value: str | None, now: datetime) -> float:
    """What a `Retry-After` header asks for, in seconds, at most 6 h; 0 for a past date and for what cannot be read.

    RFC 9110 section 10.2.3. Digits are ASCII digits only: `str.isdigit` also takes Arabic-Indic ones.
    """
    if value is None:
        return 0.0
    text = value.strip(" \t")
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
