"""Keeps the search index up with MongoDB, for every brand in turn. Without an index there is nothing to do."""

from __future__ import annotations

import logging
import time
from collections import deque

from app.errors import StoreUnavailable
from app.lib.log import INFO, WARNING, log_event
from config.queues import TaskName
from tasks.base import periodic, services

log = logging.getLogger(__name__)

WORK_SECONDS = 40.0
"""When a run stops and leaves the rest to the next tick."""
TURN_SECONDS = 4.0
"""Of one brand at a time, so that one with very many events keeps none waiting."""


@periodic(TaskName.INDEX_EVENTS)
def index_events() -> None:
    """Index what was recorded since the last tick; after an outage, what has gathered."""
    indexer = services().indexer
    if indexer is None:
        return
    until = time.monotonic() + WORK_SECONDS
    waiting = deque(services().brands.all())
    while waiting and (left := until - time.monotonic()) > 0:
        brand = waiting.popleft()
        try:
            done = indexer.run(brand, seconds=min(TURN_SECONDS, left))
        except StoreUnavailable as error:
            # The next tick goes on where its cursor is; the other brands' indexes may well answer.
            log_event(log, WARNING, "search_index_behind", brand=brand.id, error=str(error))
            continue
        if done is None:
            continue
        if done.events:
            log_event(log, INFO, "events_indexed", brand=brand.id, number=done.events, complete=done.complete)
        if not done.complete:
            waiting.append(brand)
