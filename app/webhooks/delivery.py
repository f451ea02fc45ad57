"""One run of one endpoint: claim what is due, send at most `max_in_flight` at once, record each result, stop in time.

What is due is kept by `app.storage.deliveries`; one request is `transport`; what its answer means is `answers`, what
becomes of the delivery `settle`. Whether the endpoint may be asked at all says the `gate`. A run ends when nothing is
due, when its time is over, or when the endpoint looks dead: then the rest is released untouched and the endpoint rests.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from app.errors import StoreUnavailable
from app.lib import clock
from app.lib.log import WARNING, log_event
from app.models.delivery import Attempt, Delivery, DeliveryState, Endpoint, Result, Transport
from app.models.endpoint_health import OPERATIONAL_TYPES
from app.webhooks.answers import Action, Answer, judge
from app.webhooks.feed import Feed, Ledger
from app.webhooks.gate import Gate, Leave, OpenGate, Tally
from app.webhooks.recorder import Recorder
from app.webhooks.schedule import Random
from app.webhooks.settle import settle
from app.webhooks.transport import DELIVERED, Sent

Send = Callable[[Endpoint, Delivery], Awaitable[Sent]]
Publish = Callable[[Endpoint, Sequence[Delivery], str], Awaitable[Sequence[Attempt]]]
"""Puts deliveries into the endpoint's queue, with the reason why not over HTTP; answers how each went."""

QUEUED = "queued"
QUEUE_REFUSED = "queue_refused"
"""The queue will never take it: too large, or bytes it cannot carry."""
LEASE_EXTRA_SECONDS = 30.0
"""A lease lasts the endpoint's deadline and this: time to begin a claimed delivery, and to record it."""
OPEN_SECONDS = 300.0
"""`http_then_queue`: the queue takes over when the breaker has been open for so long."""
QUEUE_RETRY_SECONDS = 30.0
"""A queue that takes nothing is tried again then; what waits for it is never given up."""
_SLOW_RUN_SECONDS = 5.0
_PAUSE_SHARE = 4.0
_MIN_PAUSE, _MAX_PAUSE = 10.0, 600.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """How a run behaves. Times are seconds."""

    claim_limit: int = 100
    budget_seconds: float = 5.0
    """No request begins after this, counted from the first claim; those that have begun end by their deadline."""
    stop_after_failures: int = 5
    """In a row: the endpoint looks dead."""
    turn_seconds: float = 10.0
    """How long after a killed worker another may take the endpoint; a live run renews it."""
    delay_factor: float = 1.0
    """`settings.webhook_delay_factor`: multiplies retry delays and pauses."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run did."""

    outcomes: Mapping[str, int] = field(default_factory=dict)
    """Attempts by outcome."""
    dead: int = 0
    """Deliveries that were given up."""
    more: bool = False
    """Work is due now: run the endpoint again."""
    paused_seconds: float = 0.0
    busy: bool = False
    """Another run had the endpoint, or it is paused; nothing was done."""


async def deliver_endpoint(
    endpoint: Endpoint,
    *,
    ledger: Ledger,
    send: Send,
    gate: Gate | None = None,
    publish: Publish | None = None,
    disabled: bool = False,
    stopping: Callable[[], bool] = lambda: False,
    policy: Policy | None = None,
    rng: Random | None = None,
) -> Run:
    """Deliver what is due for one endpoint. Safe to call at the same time from any number of processes.

    Args:
        publish: for endpoints with a queue.
        disabled: nothing goes over HTTP; only endpoints with a queue may be run then.
        stopping: whether nothing more is to be begun.

    Raises:
        StoreUnavailable: MongoDB did not answer. What was claimed comes back when its lease ends.
    """
    run = _EndpointRun(
        endpoint,
        ledger=ledger,
        send=send,
        gate=gate or OpenGate(),
        publish=publish,
        disabled=disabled,
        stopping=stopping,
        policy=policy or Policy(),
        rng=rng,
    )
    return await run.go()


class _EndpointRun:
    def __init__(
        self,
        endpoint: Endpoint,
        *,
        ledger: Ledger,
        send: Send,
        gate: Gate,
        publish: Publish | None,
        disabled: bool,
        stopping: Callable[[], bool],
        policy: Policy,
        rng: Random | None,
    ) -> None:
        self._endpoint = endpoint
        self._key = (endpoint.brand_id, endpoint.id)
        self._ledger = ledger
        self._send = send
        self._gate = gate
        self._publish = publish
        self._disabled = disabled
        self._policy = policy
        self._rng = rng or random.Random()  # noqa: S311 - jitter
        self._token = secrets.token_hex(12)
        self._feed = Feed(
            endpoint, ledger, gate, limit=policy.claim_limit, token=self._token, lease_extra_seconds=LEASE_EXTRA_SECONDS
        )
        self._feed.stopping = stopping
        self._recorder = Recorder(ledger, self._token, endpoint.brand_id, self._feed.stop)
        self._tally = Tally()
        self._failures_in_a_row = 0
        self._asked_pause = 0.0

    async def go(self) -> Run:
        turns, started = self._ledger.turns, asyncio.get_running_loop().time()
        if not await asyncio.to_thread(
            turns.take, *self._key, token=self._token, now=clock.now(), seconds=self._policy.turn_seconds
        ):
            return Run(busy=True)
        pause = 0.0
        try:
            pause = await self._work_if_allowed(started)
        finally:
            await asyncio.to_thread(turns.end, *self._key, token=self._token, now=clock.now(), pause_seconds=pause)
        fault = self._feed.fault or self._recorder.fault
        if fault is not None:
            raise fault
        # Asked after the turn has ended: whoever stored work and found the turn taken has stored it before this look.
        more = not pause and await self._feed.has_more()
        return Run(dict(self._tally.outcomes), self._tally.dead, more, pause)

    async def _work_if_allowed(self, started: float) -> float:
        """Answers for how long the endpoint rests."""
        leave = await asyncio.to_thread(self._gate.leave, self._policy.claim_limit, clock.now())
        if self._whole_queue(leave):
            await self._work(self._queue_claimed, 1)
        elif leave.requests == 0:
            return leave.wait_seconds
        else:
            self._feed.granted = leave.requests
            await self._work(self._send_claimed, self._width(leave))
        await self._note()
        return self._pause(asyncio.get_running_loop().time() - started)

    def _width(self, leave: Leave) -> int:
        """Requests at once."""
        if self._endpoint.strict:
            return 1
        return max(1, self._endpoint.max_in_flight // 2) if leave.slow else self._endpoint.max_in_flight

    def _whole_queue(self, leave: Leave) -> bool:
        """Whether everything goes into the queue now."""
        if self._publish is None or self._endpoint.transport is Transport.HTTP:
            return False
        if self._endpoint.transport is Transport.QUEUE or self._disabled:
            return True
        if leave.requests != 0:
            return False  # also when it is a probe: without one HTTP would never be tried again
        open_for = timedelta(seconds=OPEN_SECONDS * self._policy.delay_factor)
        return leave.open_since is not None and clock.now() - leave.open_since >= open_for

    async def _work(self, worker: Callable[[], Coroutine[None, None, None]], width: int) -> None:
        # Groups, so that a bug in one of them ends the run instead of leaving the others waiting for it.
        async with asyncio.TaskGroup() as helpers:
            recording = helpers.create_task(self._recorder.run())
            keeper = helpers.create_task(self._keep_turn())
            async with asyncio.TaskGroup() as workers:
                for _ in range(width):
                    workers.create_task(worker())
            await self._feed.close()
            await self._recorder.close()
            await recording
            keeper.cancel()

    async def _send_claimed(self) -> None:
        while (delivery := await self._feed.next(self._policy.budget_seconds)) is not None:
            if self._publish is not None and self._falls_back(delivery):
                await self._put_into_queue([delivery], "attempts")
                continue
            sent = await self._send(self._endpoint, delivery)
            answer = judge(sent, events=len(delivery.items), now=clock.now(), factor=self._policy.delay_factor)
            self._take_note(sent, answer)
            result = settle(
                self._endpoint,
                delivery,
                sent.attempt,
                answer,
                rng=self._rng,
                delay_factor=self._policy.delay_factor,
            )
            await self._keep(result)

    def _falls_back(self, delivery: Delivery) -> bool:
        return (
            self._endpoint.transport is Transport.HTTP_THEN_QUEUE
            and delivery.attempts >= self._endpoint.fallback_attempts
        )

    async def _queue_claimed(self) -> None:
        reason = "" if self._endpoint.transport is Transport.QUEUE else ("disabled" if self._disabled else "breaker")
        while claimed := await self._feed.next_many(self._policy.budget_seconds):
            await self._put_into_queue(claimed, reason)

    async def _put_into_queue(self, deliveries: Sequence[Delivery], reason: str) -> None:
        if self._publish is None:
            raise RuntimeError("an endpoint with a queue is run with a publisher")
        attempts = await self._publish(self._endpoint, deliveries, reason)
        now, wait = clock.now(), timedelta(seconds=QUEUE_RETRY_SECONDS * self._policy.delay_factor)
        for delivery, attempt in zip(deliveries, attempts, strict=True):
            self._tally.outcomes[attempt.outcome] += 1
            if attempt.outcome == QUEUED:
                await self._keep(Result(_changed(delivery, DeliveryState.QUEUED, now), attempt))
                continue
            if attempt.outcome == QUEUE_REFUSED:
                dead = replace(delivery, state=DeliveryState.DEAD, closed=QUEUE_REFUSED)
                await self._keep(Result(dead, attempt))
                continue
            # Never counted as an attempt: what only the queue can take must not run out of them.
            self._feed.stop()
            self._asked_pause = max(self._asked_pause, wait.total_seconds())
            await self._keep(Result(_changed(delivery, DeliveryState.PENDING, now + wait), attempt))

    async def _keep(self, result: Result) -> None:
        if result.delivery.state is DeliveryState.DEAD:
            self._tally.dead += 1
            self._tally.lost += any(item.event_type not in OPERATIONAL_TYPES for item in result.delivery.items)
        if self._endpoint.strict:
            # The next in line is looked for only when this one has left it.
            await self._recorder.record_now(result)
            if result.delivery.state is DeliveryState.PENDING and not result.parts:
                self._feed.stop()
        else:
            await self._recorder.put(result)

    def _take_note(self, sent: Sent, answer: Answer) -> None:
        tally, outcome = self._tally, sent.attempt.outcome
        tally.outcomes[outcome] += 1
        tally.throttle = tally.throttle or answer.throttle
        if answer.mark:
            tally.mark, tally.location_host = answer.mark, sent.location_host
        tally.alert = tally.alert or answer.alert
        if outcome == DELIVERED:
            tally.succeeded += 1
            tally.hung = 0
            self._failures_in_a_row = 0
            return
        if answer.action is Action.SPLIT:
            return  # the endpoint is well, the batch was too much for it
        if answer.counts:
            tally.failed += 1
        else:
            tally.slowed += 1
        tally.blocked += outcome == "blocked_address"
        tally.hung = tally.hung + 1 if answer.hung else 0
        self._failures_in_a_row += 1
        self._asked_pause = max(self._asked_pause, answer.pause_seconds)
        if answer.disabled is not None:
            tally.disabled = answer.disabled
        # One request that hangs ends the run: what was begun beside it ends about now, anything begun later would hold
        # the endpoint's turn for a second deadline. If the endpoint is well, the rest is claimed by its next run.
        if (
            answer.hung
            or outcome == "connect"
            or answer.disabled is not None
            or self._failures_in_a_row >= self._policy.stop_after_failures
            or self._asked_pause
        ):
            self._feed.stop()

    async def _note(self) -> None:
        try:
            await asyncio.to_thread(self._gate.note, self._tally, clock.now())
        except StoreUnavailable as error:
            log_event(_log, WARNING, "webhook_health_not_kept", brand_id=self._key[0], error=str(error))

    def _pause(self, elapsed: float) -> float:
        """How long the endpoint rests: what it asked for, or, if it looks dead, in proportion to the time it cost.

        So a hanging endpoint holds connections for at most a fifth of the time.
        """
        tried = self._tally.succeeded + self._tally.failed
        failing = self._failures_in_a_row >= self._policy.stop_after_failures
        failing = failing or (elapsed > _SLOW_RUN_SECONDS and 0 < tried == self._failures_in_a_row)
        pause = min(max(_MIN_PAUSE, elapsed * _PAUSE_SHARE), _MAX_PAUSE) * self._policy.delay_factor if failing else 0.0
        return max(pause, self._asked_pause)

    async def _keep_turn(self) -> None:
        """Renew the turn while the run lives, so that a killed worker's endpoint is free again soon."""
        seconds = self._policy.turn_seconds
        while True:
            await asyncio.sleep(seconds / 3)
            try:
                kept = await asyncio.to_thread(
                    self._ledger.turns.keep, *self._key, token=self._token, now=clock.now(), seconds=seconds
                )
            except StoreUnavailable:
                continue  # the claims are fenced without the turn; it only saves double work
            if not kept:
                self._feed.stop()
                return


def _changed(delivery: Delivery, state: DeliveryState, due_at: datetime) -> Delivery:
    return replace(delivery, state=state, next_attempt_at=due_at)
