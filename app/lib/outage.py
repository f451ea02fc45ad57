"""Remembers that a store did not answer: who asks next is told at once, and need not wait for the same time limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.errors import StoreUnavailable

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 4.0


class Outage:
    """After a failure nobody asks for half a second, after each further one for twice as long, up to four seconds.

    Args:
        monotonic: seconds.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until = 0.0
        self._pause = _FIRST_PAUSE_SECONDS

    @contextmanager
    def noticed(self) -> Iterator[None]:
        """Ask a store within this.

        Raises:
            StoreUnavailable: it did not answer, now or a moment ago.
        """
        if self._monotonic() < self._until:
            raise StoreUnavailable("did not answer a moment ago")
        try:
            yield
        except StoreUnavailable:
            self._until = self._monotonic() + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
            raise
        self._pause = _FIRST_PAUSE_SECONDS
