"""Keeps one delivery task per endpoint in the queue: whoever wants a second one finds that the first has not begun yet.

The mark is taken back when the task begins, before it looks for work, so it sees everything that was stored before a
wake was left out. A lost mark costs a task that finds nothing; a mark whose task was lost ends by itself, and the
sweep of due deliveries (`tasks.webhooks.wake_due_endpoints`) does not ask for it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import redis

from app.lib.log import WARNING, log_event

_log = logging.getLogger("telltale.storage")

_SECONDS = 15
EndpointRef = tuple[str, str]


class Wakes:
    """Args:
    cache: a Redis that may forget.
    """

    def __init__(self, cache: redis.Redis) -> None:
        self._cache = cache

    def claim(self, endpoints: Sequence[EndpointRef]) -> list[EndpointRef]:
        """The endpoints (brand id, endpoint id) for which no task is waiting; the caller queues one for each.

        All of them when Redis is away.
        """
        try:
            with self._cache.pipeline(transaction=False) as pipe:
                for endpoint in endpoints:
                    pipe.set(_key(endpoint), 1, nx=True, ex=_SECONDS)
                answers = pipe.execute()
        except redis.RedisError as error:
            log_event(_log, WARNING, "wake_marks_unavailable", error=type(error).__name__)
            return list(endpoints)
        return [endpoint for endpoint, new in zip(endpoints, answers, strict=True) if new]

    def begun(self, endpoint: EndpointRef) -> None:
        """A task for the endpoint begins. Without Redis the mark may stay until it ends; the sweep does not mind it."""
        try:
            self._cache.delete(_key(endpoint))
        except redis.RedisError as error:
            log_event(_log, WARNING, "wake_mark_kept", error=type(error).__name__)


def _key(endpoint: EndpointRef) -> str:
    return f"telltale:woken:{endpoint[0]}:{endpoint[1]}"
