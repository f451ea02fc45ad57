"""Writes what is due of every brand's archive: an hour of each brand in turn, so that none waits for another."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Iterator
from datetime import timedelta

from app.archive.bucket import BucketRefused, BucketUnavailable
from app.archive.lines import UnreadableArchive
from app.archive.write import HourChanged, Outcome
from app.archiving import Archiving
from app.lib import clock
from app.lib.log import WARNING, log_event
from app.storage.archive_state import ArchiveState
from config.queues import TaskName
from tasks.base import periodic, services

WORK_SECONDS = 40.0
"""When no more files are begun. A run that the soft time limit ends in the middle of one loses that file's work."""
REST = timedelta(minutes=15)
"""How long a brand is left alone whose bucket failed."""

log = logging.getLogger(__name__)


@periodic(TaskName.ARCHIVE_HOUR)
def archive_hours() -> None:
    """Go on with every brand's archive until nothing is due or the time is up."""
    until = time.monotonic() + WORK_SECONDS
    app, now = services(), clock.now()
    state = ArchiveState(app.database)
    brands = [brand for brand in app.brands.all() if brand.archive is not None and not state.resting(brand.id, now)]
    random.shuffle(brands)  # so that the first of the file is not always the first
    waiting = deque(
        (brand.id, _turns(Archiving(app, brand, brand.archive), until)) for brand in brands if brand.archive
    )
    while waiting and time.monotonic() < until:
        brand_id, turns = waiting.popleft()
        try:
            if next(turns, None) is not None:
                waiting.append((brand_id, turns))
        except (BucketUnavailable, BucketRefused, UnreadableArchive, HourChanged) as error:
            # What these say is ours: no text of the store's, no name of a person.
            log_event(log, WARNING, "archive_rests", brand_id=brand_id, error=type(error).__name__, detail=str(error))
            state.rest(brand_id, clock.now() + REST)


def _turns(archiving: Archiving, until: float) -> Iterator[Outcome]:
    """One due hour each time it is asked."""
    writer = archiving.writer()
    for hour in archiving.due():
        yield writer.write(hour, until=until)
