"""One time limit for several steps."""

from __future__ import annotations

import time

_LEAST_SECONDS = 0.05
"""So that a step begun too late fails as one that took too long."""


class Deadline:
    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds."""
        return max(_LEAST_SECONDS, self._end - time.monotonic())
