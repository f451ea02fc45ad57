"""Two tasks: hand an endpoint to this process's courier, and wake every endpoint that has something due.

MongoDB is the schedule. A lost task costs one tick of `wake_due_endpoints`; a task too many finds nothing to do.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from celery import signals

from app.errors import BrokerUnavailable
from app.lib import clock
from app.lib.log import WARNING, log_event
from app.outbound import EndpointRuns
from app.webhooks.courier import Courier
from config.queues import TaskName
from tasks.base import periodic, services, task

WAKE_PAGE = 500
WOKEN_SECONDS = 15.0
"""How long a queued task keeps its endpoint from being woken again; after that the queue has perhaps lost it."""
PLACE_SECONDS = 20.0
"""How long a task waits for a place among the endpoints that are run at once; then the sweep brings it again."""
STOP_SECONDS = 20.0

_log = logging.getLogger(__name__)
_courier: tuple[int, Courier] | None = None


@task(TaskName.DELIVER_ENDPOINT)
def deliver_endpoint(brand_id: str, endpoint_id: str) -> None:
    """Have what is due for one endpoint delivered; any number of these may be queued or run at once."""
    if not courier().submit((brand_id, endpoint_id), PLACE_SECONDS):
        log_event(_log, WARNING, "webhook_run_not_begun", brand_id=brand_id, endpoint_id=endpoint_id)


def courier() -> Courier:
    """This process's courier; begun on first use, and again after a fork, which no thread survives."""
    global _courier  # noqa: PLW0603 - one per process is what it is for
    if _courier is None or _courier[0] != os.getpid():
        runs = EndpointRuns(services(), stopping=lambda: made.stopping)
        made = Courier(runs.run, closing=runs.close)
        _courier = (os.getpid(), made)
    return _courier[1]


@signals.worker_process_shutdown.connect
def _stop_courier(**_: Any) -> None:
    if _courier is not None and _courier[0] == os.getpid():
        _courier[1].stop(STOP_SECONDS)


@periodic(TaskName.WAKE_DUE_ENDPOINTS)
def wake_due_endpoints() -> None:
    """Queue one task for each endpoint with due work: retries, and everything after the broker has lost its queues."""
    app, now = services(), clock.now()
    after: tuple[str, str] | None = None
    while page := app.deliveries.endpoints_due(now, WAKE_PAGE, after=after):
        after = page[-1]
        app.deliveries.turns.mark_woken(page, now=now, seconds=WOKEN_SECONDS)
        for number, endpoint in enumerate(page):
            try:
                app.broker.enqueue(TaskName.DELIVER_ENDPOINT, *endpoint)
            except BrokerUnavailable:
                app.deliveries.turns.unmark_woken(page[number:])
                raise
