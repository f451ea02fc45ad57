"""For what is kept in a Redis that may forget and may be away: who finds none goes on without, and says so."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from app.errors import StoreUnavailable
from app.lib.log import WARNING, log_event
from app.lib.outage import Outage

_log = logging.getLogger("telltale.storage")


class OptionalRedis:
    """Args:
    event: what is logged when it does not answer.
    """

    def __init__(self, event: str) -> None:
        self._event = event
        self._outage = Outage()

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Ask Redis within this.

        Raises:
            StoreUnavailable: it did not answer, now or a moment ago; the caller goes on without.
        """
        with self._outage.noticed():
            try:
                yield
            except redis.RedisError as error:
                log_event(_log, WARNING, self._event, error=type(error).__name__)
                raise StoreUnavailable(type(error).__name__) from error
