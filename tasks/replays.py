"""One task: take every replay a step further. Beat calls it every few seconds, and the API when a replay begins.

Replays wait in MongoDB; a lost task costs one tick, a task too many finds nothing due.
"""

from __future__ import annotations

import logging

from app.lib import clock, ids
from app.lib.log import INFO, log_event
from app.storage.event_deliveries import EventDeliveries
from app.storage.replays import Replays
from app.webhooks.replay import run_due
from config.queues import TaskName
from tasks.base import services, task

_log = logging.getLogger(__name__)


@task(TaskName.REPLAY, max_retries=0)
def replay() -> None:
    """Make the next deliveries of running replays due, at their rate."""
    app = services()
    token = ids.to_text(ids.new_id())
    ledger, finder = Replays(app.database), EventDeliveries(app.database)
    moved = run_due(ledger, app.deliveries, finder, now=clock.now(), token=token)
    if moved:
        log_event(_log, INFO, "deliveries_replayed", deliveries=moved)
