"""Two tasks: deliver what is due for one endpoint, and wake every endpoint that has something due.

MongoDB is the schedule. A lost task costs one tick of `wake_due_endpoints`; a task too many finds nothing to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from app.errors import BrokerUnavailable
from app.lib import clock
from app.lib.log import INFO, WARNING, log_event
from app.models.delivery import Endpoint
from app.services import Services
from app.storage.endpoints import ID_PREFIX
from app.webhooks.address_guard import AddressGuard
from app.webhooks.delivery import Policy, Run
from app.webhooks.delivery import deliver_endpoint as run_endpoint
from app.webhooks.transport import DELIVERED, Sender
from config.queues import TaskName
from tasks.base import periodic, services, task

WAKE_PAGE = 500
WOKEN_SECONDS = 15.0
"""How long a queued task keeps its endpoint from being woken again; after that the queue has perhaps lost it."""
REST = timedelta(seconds=60)
"""How long an endpoint rests that is switched off or that this worker cannot find."""
MISSING_KEPT_FOR = timedelta(hours=72)
"""An endpoint missing in brands.yaml may be a mistake, or a file not read here yet: its work waits so long."""

_log = logging.getLogger(__name__)


@task(TaskName.DELIVER_ENDPOINT)
def deliver_endpoint(brand_id: str, endpoint_id: str) -> None:
    """Deliver what is due for one endpoint; any number of these may be queued or run at once."""
    app = services()
    # First, so that whoever stores a delivery from now on queues another task.
    app.wakes.begun((brand_id, endpoint_id))
    endpoint = _find(app, brand_id, endpoint_id)
    if endpoint is None:
        return
    run = asyncio.run(_deliver(app, endpoint))
    if run.outcomes:
        failed = sum(run.outcomes.values()) - run.outcomes.get(DELIVERED, 0)
        log_event(
            _log,
            INFO,
            "webhook_run",
            brand_id=brand_id,
            endpoint_id=endpoint_id,
            delivered=run.outcomes.get(DELIVERED, 0),
            failed=failed,
            dead=run.dead,
            paused_seconds=round(run.paused_seconds, 1),
            outcomes=_as_text(run.outcomes),
        )
    if run.more:
        # To the end of the queue: other endpoints have their turn in between.
        app.broker.enqueue(TaskName.DELIVER_ENDPOINT, brand_id, endpoint_id)


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


async def _deliver(app: Services, endpoint: Endpoint) -> Run:
    guard = AddressGuard(app.settings.webhook_allow_networks)
    async with Sender(
        guard, allow_http=app.settings.webhook_allow_http, max_in_flight=endpoint.max_in_flight
    ) as sender:
        policy = Policy(delay_factor=app.settings.webhook_delay_factor)
        return await run_endpoint(endpoint, ledger=app.deliveries, send=sender.send, policy=policy)


def _find(app: Services, brand_id: str, endpoint_id: str) -> Endpoint | None:
    """The endpoint as it is now, with the operator's ceiling on its deadline; None when nothing can be sent to it."""
    brand, disabled = app.brands.by_id(brand_id), False
    endpoint = next((known for known in (brand.endpoints if brand else ()) if known.id == endpoint_id), None)
    if endpoint is None and (stored := app.endpoints.get(brand_id, endpoint_id)) is not None:
        endpoint, disabled = stored.endpoint, stored.disabled
    if endpoint is not None and not disabled:
        deadline = min(endpoint.deadline_seconds, app.settings.webhook_deadline_seconds)
        return replace(endpoint, deadline_seconds=deadline)
    _set_aside(app, brand_id, endpoint_id, disabled=disabled)
    return None


def _set_aside(app: Services, brand_id: str, endpoint_id: str, *, disabled: bool) -> None:
    now, closed = clock.now(), 0
    if not disabled:
        # The collection is the truth about `ep_…`; about brands.yaml another process may know more than we do.
        kept_for = timedelta() if endpoint_id.startswith(ID_PREFIX) else MISSING_KEPT_FOR
        closed = app.deliveries.cancel(brand_id, endpoint_id, created_before=now - kept_for, now=now)
    app.deliveries.turns.pause(brand_id, endpoint_id, until=now + REST)
    log_event(
        _log,
        WARNING,
        "webhook_endpoint_unavailable",
        brand_id=brand_id,
        endpoint_id=endpoint_id,
        disabled=disabled,
        closed=closed,
    )


def _as_text(outcomes: Mapping[str, int]) -> list[str]:
    return [f"{outcome}={count}" for outcome, count in sorted(outcomes.items())]
