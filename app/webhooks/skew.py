"""How far our clock is from those of MongoDB and Redis: a webhook signed with a wrong time is thrown away.

Consumers accept five minutes (Standard Webhooks 1.0.0) and take what they refuse for an attack: better not sent at all.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from app.errors import StoreUnavailable
from app.lib import clock
from app.lib.log import ERROR, INFO, WARNING, log_event

MAX_SKEW_SECONDS = 120.0
"""Nothing is sent beyond it."""
ASK_EVERY_SECONDS = 30.0

_log = logging.getLogger(__name__)


class ClockSkew:
    """Safe to use from any number of threads; it asks the servers now and then, in the thread of whoever asks it.

    Args:
        clocks: by name, what reads a server's time; raises StoreUnavailable when it does not answer.
        now: our own time.
        monotonic: seconds.
    """

    def __init__(
        self,
        clocks: Mapping[str, Callable[[], datetime]],
        *,
        now: Callable[[], datetime] = clock.now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clocks = clocks
        self._now = now
        self._monotonic = monotonic
        self._asking = threading.Lock()
        self._ask_at = monotonic()
        self._seconds = 0.0

    @property
    def too_large(self) -> bool:
        """Whether nothing may be signed now."""
        return abs(self.seconds()) > MAX_SKEW_SECONDS

    def seconds(self) -> float:
        """Our time minus that of the server whose clock is nearest to ours; positive when ours is ahead.

        The nearest, because one server with a wrong clock is that server's fault. 0 as long as none has answered: a
        clock that nobody can read is no reason to keep a brand's events back.
        """
        if self._monotonic() >= self._ask_at and self._asking.acquire(blocking=False):
            try:
                self._ask()
                self._ask_at = self._monotonic() + ASK_EVERY_SECONDS
            finally:
                self._asking.release()
        return self._seconds

    def _ask(self) -> None:
        differences = {name: seconds for name in self._clocks if (seconds := self._difference(name)) is not None}
        if not differences:
            return
        for name, seconds in differences.items():
            if abs(seconds) > MAX_SKEW_SECONDS:
                log_event(_log, WARNING, "webhook_clocks_differ", server=name, seconds=round(seconds, 3))
        before, self._seconds = self._seconds, min(differences.values(), key=abs)
        if abs(self._seconds) > MAX_SKEW_SECONDS:
            log_event(_log, ERROR, "webhook_clock_is_wrong", seconds=round(self._seconds, 3))
        elif abs(before) > MAX_SKEW_SECONDS:
            log_event(_log, INFO, "webhook_clock_is_right_again", seconds=round(self._seconds, 3))

    def _difference(self, name: str) -> float | None:
        """Nearer to zero by the time the answer may have been under way: a slow server is no wrong one."""
        asked_at = self._now()
        try:
            theirs = self._clocks[name]()
        except StoreUnavailable:
            log_event(_log, INFO, "webhook_clock_unread", server=name)
            return None
        ahead, behind = (asked_at - theirs).total_seconds(), (theirs - self._now()).total_seconds()
        return ahead if ahead > 0 else -behind if behind > 0 else 0.0
