"""Which delays between attempts an endpoint may have in place of the usual schedule."""

from __future__ import annotations

from collections.abc import Sequence

MAX_ENTRIES = 20
MIN_SECONDS, MAX_SECONDS = 1.0, 24 * 3600.0
MAX_SUM_SECONDS = 7 * 24 * 3600.0


def check_delays(delays: Sequence[float]) -> tuple[float, ...]:
    """The delays in seconds, as they are; none is the usual schedule.

    Raises:
        ValueError: one sentence for whoever wrote them.
    """
    if len(delays) > MAX_ENTRIES:
        raise ValueError(f"At most {MAX_ENTRIES} delays are allowed.")
    if not all(MIN_SECONDS <= delay <= MAX_SECONDS for delay in delays):  # not a number is neither
        raise ValueError("A delay must be at least 1 second and at most 24 hours.")
    if sum(delays) > MAX_SUM_SECONDS:
        raise ValueError("All delays together must be at most 7 days.")
    return tuple(delays)
