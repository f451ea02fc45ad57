"""What beat keeps going: counts into rollups, looking after the journal and the numbers, deleting what is past keeping.

How often and why is in `config.beat`; waking endpoints with due deliveries is in `tasks.webhooks`.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from app.journal.shipper_status import read_shipper_status
from app.lib import clock
from app.lib.log import ERROR, INFO, WARNING, log_event
from config.queues import TaskName
from tasks.base import periodic, services

log = logging.getLogger(__name__)

WORK_SECONDS = 40.0
"""When a run stops and leaves the rest to the next tick; below the soft time limit by one store operation (20 s)."""
_EXPIRE_CHUNK = 2_000


@periodic(TaskName.COMPACT_COUNTS)
def compact_counts() -> None:
    """Move what batches counted into the rollups, until nothing waits or the time is up."""
    until = time.monotonic() + WORK_SECONDS
    while services().batches.compact() and time.monotonic() < until:
        pass


@periodic(TaskName.CHECK_JOURNAL)
def check_journal() -> None:
    """Warn when this host's shipper is silent or behind. A worker on a host without a shipper has nothing to say."""
    try:
        status = read_shipper_status(services().settings.shipper_dir)
    except (OSError, ValueError) as error:
        log_event(log, WARNING, "shipper_status_unreadable", error=type(error).__name__)
        return
    if status is None:
        return
    fault = status.fault()
    if fault is not None:
        log_event(
            log,
            WARNING,
            "shipper_behind",
            detail=fault,
            behind_bytes=status.behind_bytes,
            in_flight=status.in_flight,
            reshipped=status.reshipped,
        )


@periodic(TaskName.CHECK_NUMBERS)
def check_numbers() -> None:
    """The high-water check of the numbers. What it finds is mended already, but somebody must know of it."""
    for problem in services().numbers.check():
        log_event(log, ERROR, "numbers_were_behind", detail=problem)


@periodic(TaskName.EXPIRE_DATA)
def expire_data() -> None:
    """Delete events and the personal part of messages past their brand's retention: a chunk of each brand and kind in
    turn, so that none waits for another."""
    until = time.monotonic() + WORK_SECONDS
    waiting = deque(_expiries(clock.now()))
    done: Counter[tuple[str, str]] = Counter()
    while waiting and time.monotonic() < until:
        expiry = waiting.popleft()
        number = expiry.run(_EXPIRE_CHUNK)
        done[expiry.brand_id, expiry.what] += number
        if number == _EXPIRE_CHUNK:
            waiting.append(expiry)
    for (brand_id, what), number in done.items():
        if number:
            log_event(log, INFO, "data_expired", brand=brand_id, what=what, number=number)


class _Expiry(NamedTuple):
    """One kind of data of one brand; `run` deals with at most so many and answers how many there were."""

    brand_id: str
    what: str
    run: Callable[[int], int]


def _expiries(now: datetime) -> Iterator[_Expiry]:
    events, messages = services().events, services().messages
    for brand in services().brands.all():
        before = now - timedelta(days=brand.retention.message_days)
        yield _Expiry(brand.id, "messages", partial(messages.strip_older_than, brand.id, before))
        for kind, days in brand.retention.events:
            before_ms = int((now - timedelta(days=days)).timestamp() * 1000)
            yield _Expiry(brand.id, kind.value, partial(events.delete_recorded_before, brand.id, kind, before_ms))
