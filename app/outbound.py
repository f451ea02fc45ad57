"""Runs endpoints with everything a real run needs: joins webhooks, queues and storage. `tasks.webhooks` calls it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from app.errors import StoreUnavailable
from app.lib import clock
from app.lib.log import INFO, WARNING, log_event
from app.models.delivery import Attempt, Delivery, DisabledReason, Endpoint
from app.models.endpoint_health import Health, Notice
from app.queues.message import QueueFailure, QueueMessage
from app.queues.publisher import Queues
from app.services import Services
from app.storage.endpoints import ID_PREFIX
from app.webhooks.address_guard import AddressGuard
from app.webhooks.body import delivery_body
from app.webhooks.delivery import QUEUE_REFUSED, QUEUED, Policy, Run, deliver_endpoint
from app.webhooks.endpoint_gate import EndpointGate
from app.webhooks.operational import operational_item
from app.webhooks.routing import delivery_of
from app.webhooks.senders import Senders
from app.webhooks.signing import sign
from app.webhooks.transport import DELIVERED, NO_SECRET

REST = timedelta(seconds=60)
"""How long an endpoint rests that is disabled or that this process cannot find."""
MISSING_KEPT_FOR = timedelta(hours=72)
"""An endpoint missing in brands.yaml may be a mistake, or a file not read here yet: its work waits so long."""
PARKED_AT_ONCE = 2_000
QUEUE_SECONDS = 15.0
"""For one call of a brand's queue."""

QUEUE_CALLS = 16
"""Of all brands' queues at once in this process; one per endpoint, because a run makes one call at a time."""
_MESSAGE_ID = re.compile(rb'"message_id":"(msg_[0-9A-Za-z]{1,64})"')
_log = logging.getLogger("telltale.webhooks")
Key = tuple[str, str]


class EndpointRuns:
    """Used from one event loop, except for `find`.

    Args:
        stopping: whether the process is about to end.
    """

    def __init__(self, services: Services, *, stopping: Callable[[], bool] = lambda: False) -> None:
        self._services = services
        self._stopping = stopping
        self._guard = AddressGuard(
            services.settings.webhook_allow_networks, is_ours=lambda host: services.brands.by_host(host) is not None
        )
        self._queues = Queues(self._guard)
        # Of their own: brokers that hang must not keep runs from their stores.
        self._queue_threads = ThreadPoolExecutor(QUEUE_CALLS, thread_name_prefix="brand-queues")
        self._senders = Senders(self._guard, allow_http=services.settings.webhook_allow_http)

    async def run(self, key: Key) -> bool:
        """Run an endpoint once; answers whether it has more to do now."""
        try:
            # First, so that whoever stores a delivery from now on queues another task.
            await asyncio.to_thread(self._services.wakes.begun, key)
            found = await asyncio.to_thread(self._find_if_signed_in_time, *key)
            if found is None:
                return False
            endpoint, health = found
            run = await self._deliver(endpoint, health)
        except StoreUnavailable as error:
            # Everything is stored: the sweep wakes the endpoint again.
            log_event(_log, WARNING, "webhook_run_put_off", brand_id=key[0], endpoint_id=key[1], error=str(error))
            return False
        _log_run(endpoint, run)
        return run.more

    def _find_if_signed_in_time(self, brand_id: str, endpoint_id: str) -> tuple[Endpoint, Health] | None:
        # What is signed with a wrong time is thrown away: it waits for the clock, and the sweep brings it again.
        return None if self._services.clock_skew.too_large else self.find(brand_id, endpoint_id)

    async def close(self) -> None:
        """Let go of all connections; no run is under way any more."""
        await self._senders.close()
        await asyncio.to_thread(self._queues.close)
        self._queue_threads.shutdown(wait=False)

    def find(self, brand_id: str, endpoint_id: str) -> tuple[Endpoint, Health] | None:
        """The endpoint as it is now, with the operator's ceiling on its deadline, and how it is; None when nothing can
        be sent to it (what waits for it is parked or closed then)."""
        app = self._services
        brand = app.brands.by_id(brand_id)
        endpoint = next((known for known in (brand.endpoints if brand else ()) if known.id == endpoint_id), None)
        if endpoint is None and (stored := app.endpoints.get(brand_id, endpoint_id)) is not None:
            endpoint = stored.endpoint
        if endpoint is None:
            self._close_removed(brand_id, endpoint_id)
            return None
        health = app.endpoint_health.of(brand_id, endpoint_id)
        if (reason := health.disabled) is not None and (not endpoint.queue or reason is DisabledReason.OWNER):
            self._park(endpoint, reason)
            return None
        deadline = min(endpoint.deadline_seconds, app.settings.webhook_deadline_seconds)
        return replace(endpoint, deadline_seconds=deadline), health

    async def _deliver(self, endpoint: Endpoint, health: Health) -> Run:
        app = self._services
        gate = EndpointGate(
            endpoint,
            breakers=app.breakers,
            rates=app.rates,
            health=app.endpoint_health,
            tell=self._tell,
            known=health,
        )
        async with self._senders.of(endpoint) as sender:
            return await deliver_endpoint(
                endpoint,
                ledger=app.deliveries,
                send=sender.send,
                gate=gate,
                publish=self._publish if endpoint.queue else None,
                disabled=health.disabled is not None,
                policy=Policy(delay_factor=app.settings.webhook_delay_factor),
                stopping=self._stopping,
            )

    async def _publish(self, endpoint: Endpoint, deliveries: Sequence[Delivery], reason: str) -> list[Attempt]:
        now = clock.now()
        keys = endpoint.keys_at(now)
        if not keys:
            return [Attempt(delivery.attempts + 1, now, 0.0, NO_SECRET) for delivery in deliveries]
        messages = [_message(endpoint, delivery, keys, now, reason) for delivery in deliveries]
        started = asyncio.get_running_loop().time()
        call = partial(self._queues.publish, endpoint.queue, messages, deadline_seconds=QUEUE_SECONDS)
        published = await asyncio.get_running_loop().run_in_executor(self._queue_threads, call)
        if published.failure is not None:
            log_event(
                _log,
                WARNING,
                "brand_queue_refused",
                brand_id=endpoint.brand_id,
                endpoint_id=endpoint.id,
                reason=published.failure.value,
                detail=published.detail,
            )
        seconds = round(asyncio.get_running_loop().time() - started, 4)
        attempts = []
        for delivery, message in zip(deliveries, messages, strict=True):
            if message.id in published.confirmed:
                outcome = QUEUED
            elif message.id in published.refused:
                outcome = QUEUE_REFUSED
            else:
                outcome = (published.failure or QueueFailure.UNAVAILABLE).value
            attempts.append(Attempt(delivery.attempts + 1, now, seconds, outcome))
        return attempts

    def _tell(self, about: Endpoint, notices: Sequence[Notice]) -> None:
        """Tell the brand of one endpoint over its others."""
        app, now = self._services, clock.now()
        others = [one for one in app.endpoints_of({about.brand_id})[about.brand_id] if one.id != about.id]
        # One event for all of them, so that whoever gets it twice can tell.
        items = [operational_item(notice.type, about.brand_id, notice.data, now) for notice in notices]
        deliveries = [
            delivery_of(other, (item,), now)
            for item in items
            for other in others
            if not other.events or item.event_type in other.events
        ]
        for notice in notices:
            log_event(_log, WARNING, notice.type.replace(".", "_"), brand_id=about.brand_id, endpoint_id=about.id)
        app.deliveries.insert_many(deliveries)
        app.wake({(delivery.brand_id, delivery.endpoint_id) for delivery in deliveries})

    def _park(self, endpoint: Endpoint, reason: DisabledReason) -> None:
        app, now, parked = self._services, clock.now(), 0
        until = now + timedelta(seconds=20)
        while some := app.deliveries.park(endpoint.brand_id, endpoint.id, now=now, limit=PARKED_AT_ONCE):
            parked += some
            if some < PARKED_AT_ONCE or clock.now() > until:
                break
        app.deliveries.turns.pause(endpoint.brand_id, endpoint.id, until=clock.now() + REST)
        log_event(
            _log,
            INFO,
            "webhook_endpoint_disabled",
            brand_id=endpoint.brand_id,
            endpoint_id=endpoint.id,
            reason=reason.value,
            parked=parked,
        )

    def _close_removed(self, brand_id: str, endpoint_id: str) -> None:
        app, now = self._services, clock.now()
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
            closed=closed,
        )


def _message(
    endpoint: Endpoint, delivery: Delivery, keys: tuple[bytes, ...], now: datetime, reason: str
) -> QueueMessage:
    timestamp, body = int(now.timestamp()), delivery_body(delivery)
    return QueueMessage(
        id=delivery.webhook_id,
        timestamp=timestamp,
        signature=sign(keys, delivery.webhook_id, timestamp, body),
        event_type=delivery.event_type,
        brand_id=endpoint.brand_id,
        reason=reason,
        body=body,
        group=_group_of(delivery),
    )


def _group_of(delivery: Delivery) -> str:
    """The message that the first event is about: a FIFO queue keeps the events of a message in order."""
    found = _MESSAGE_ID.search(delivery.items[0].body)
    return found[1].decode("ascii") if found else delivery.items[0].event_id


def _log_run(endpoint: Endpoint, run: Run) -> None:
    if not run.outcomes:
        return
    done = run.outcomes.get(DELIVERED, 0) + run.outcomes.get(QUEUED, 0)
    log_event(
        _log,
        INFO,
        "webhook_run",
        brand_id=endpoint.brand_id,
        endpoint_id=endpoint.id,
        delivered=done,
        failed=sum(run.outcomes.values()) - done,
        dead=run.dead,
        paused_seconds=round(run.paused_seconds, 1),
        outcomes=[f"{outcome}={count}" for outcome, count in sorted(run.outcomes.items())],
    )
