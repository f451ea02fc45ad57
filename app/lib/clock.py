"""Time: UTC datetimes, milliseconds since 1970, RFC 3339 text. Everything that needs the time asks here."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)


def now_ms() -> int:
    """The current time in whole milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def from_ms(ms: int) -> datetime:
    """Milliseconds since 1970 as a UTC datetime."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as `2026-01-01T00:00:00.000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
