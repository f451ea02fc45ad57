"""One run of one endpoint: claim what is due, send at most `max_in_flight` at once, record each result, stop in time.

What is due is kept by `app.storage.deliveries`; one request is `transport`; the time of the next try is `schedule`.
A run ends when nothing is due, when its time budget is over (the rest goes to the end of the queue, so that every
endpoint gets its turn), or when the endpoint looks dead: then the rest is released untouched and the endpoint rests.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import secrets
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from app.errors import StoreUnavailable
from app.lib import clock
from app.lib.log import WARNING, log_event
from app.models.delivery import Attempt, Delivery, DeliveryState, Endpoint
from app.webhooks.schedule import Random, next_delay, retry_after_seconds
from app.webhooks.transport import DELIVERED, Sent

Send = Callable[[Endpoint, Delivery], Awaitable[Sent]]

LEASE_EXTRA_SECONDS = 30.0
"""A lease lasts the endpoint's deadline and this: time to begin a claimed delivery, and to record it."""
_RECORD_SECONDS = 10.0
"""The part of the lease that is kept for recording; no request begins in it."""
_RECORD_RETRIES = (0.2, 0.5, 1.0, 2.0, 4.0)
_MAX_UNRECORDED = 256
_SLOW_RUN_SECONDS = 5.0
_PAUSE_SHARE = 4.0
_MIN_PAUSE, _MAX_PAUSE = 10.0, 600.0

_log = logging.getLogger(__name__)


class Turns(Protocol):
    """An endpoint is worked on by one run at a time (`app.storage.endpoint_turns`)."""

    def take(self, brand_id: str, endpoint_id: str, *, token: str, now: datetime, seconds: float) -> bool: ...
    def keep(self, brand_id: str, endpoint_id: str, *, token: str, now: datetime, seconds: float) -> bool: ...
    def end(self, brand_id: str, endpoint_id: str, *, token: str, now: datetime, pause_seconds: float) -> None: ...


class Ledger(Protocol):
    """The deliveries as a run needs them (`app.storage.deliveries`). Called from threads."""

    @property
    def turns(self) -> Turns: ...
    def claim(
        self, brand_id: str, endpoint_id: str, *, now: datetime, lease_seconds: float, limit: int, token: str
    ) -> list[Delivery]: ...
    def record_results(self, results: Sequence[tuple[Delivery, Attempt]], *, token: str, now: datetime) -> int: ...
    def release(self, deliveries: Sequence[Delivery], *, token: str) -> None: ...
    def has_due(self, brand_id: str, endpoint_id: str, *, now: datetime) -> bool: ...


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
    """Deliveries whose attempts are used up."""
    more: bool = False
    """Work is due now: enqueue the endpoint again."""
    paused_seconds: float = 0.0
    busy: bool = False
    """Another run had the endpoint, or it is paused; nothing was done."""


async def deliver_endpoint(
    endpoint: Endpoint,
    *,
    ledger: Ledger,
    send: Send,
    policy: Policy | None = None,
    rng: Random | None = None,
) -> Run:
    """Deliver what is due for one endpoint. Safe to call at the same time from any number of processes.

    Raises:
        StoreUnavailable: MongoDB did not answer. What was claimed comes back when its lease ends.
    """
    run = _EndpointRun(endpoint, ledger, send, policy or Policy(), rng or random.Random())  # noqa: S311 - jitter
    return await run.go()


def settle(delivery: Delivery, sent: Sent, rng: Random, delay_factor: float) -> Delivery:
    """The delivery after an attempt: delivered, due again later, or dead."""
    attempts = delivery.attempts + 1
    if sent.attempt.outcome == DELIVERED:
        return replace(delivery, attempts=attempts, state=DeliveryState.DELIVERED)
    delay = next_delay(attempts, rng, factor=delay_factor)
    if delay is None:
        return replace(delivery, attempts=attempts, state=DeliveryState.DEAD)
    ended_at = sent.attempt.started_at + timedelta(seconds=sent.attempt.seconds)
    delay = max(delay, retry_after_seconds(sent.retry_after, ended_at))
    return replace(delivery, attempts=attempts, next_attempt_at=ended_at + timedelta(seconds=delay))


class _EndpointRun:
    def __init__(self, endpoint: Endpoint, ledger: Ledger, send: Send, policy: Policy, rng: Random) -> None:
        self._endpoint = endpoint
        self._key = (endpoint.brand_id, endpoint.id)
        self._ledger = ledger
        self._send = send
        self._policy = policy
        self._rng = rng
        self._token = secrets.token_hex(12)
        self._lease_seconds = endpoint.deadline_seconds + LEASE_EXTRA_SECONDS
        self._claimed: deque[Delivery] = deque()
        self._claiming = asyncio.Lock()
        self._begin_before = 0.0
        self._ends_at = math.inf
        self._stopped = False
        self._fault: StoreUnavailable | None = None
        self._results: asyncio.Queue[tuple[Delivery, Attempt] | None] = asyncio.Queue(_MAX_UNRECORDED)
        self._outcomes: Counter[str] = Counter()
        self._dead = 0
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
            await self._work()
            pause = self._pause(asyncio.get_running_loop().time() - started)
        finally:
            await asyncio.to_thread(turns.end, *self._key, token=self._token, now=clock.now(), pause_seconds=pause)
        if self._fault is not None:
            raise self._fault
        # Asked after the turn has ended: whoever stored work and found the turn taken has stored it before this look.
        more = not pause and await asyncio.to_thread(self._ledger.has_due, *self._key, now=clock.now())
        return Run(outcomes=dict(self._outcomes), dead=self._dead, more=more, paused_seconds=pause)

    async def _work(self) -> None:
        # Groups, so that a bug in one of them ends the run instead of leaving the others waiting for it.
        async with asyncio.TaskGroup() as helpers:
            recorder = helpers.create_task(self._record())
            keeper = helpers.create_task(self._keep_turn())
            async with asyncio.TaskGroup() as senders:
                for _ in range(self._endpoint.max_in_flight):
                    senders.create_task(self._send_claimed())
            await self._results.put(None)
            await recorder
            keeper.cancel()
        await self._release()

    async def _send_claimed(self) -> None:
        while (delivery := await self._next()) is not None:
            sent = await self._send(self._endpoint, delivery)
            self._note(sent)
            settled = settle(delivery, sent, self._rng, self._policy.delay_factor)
            self._dead += settled.state is DeliveryState.DEAD
            await self._results.put((settled, sent.attempt))

    async def _next(self) -> Delivery | None:
        """The next claimed delivery; claims more when there is none left, None when the run is to end."""
        async with self._claiming:
            now = asyncio.get_running_loop().time()
            if self._stopped or now >= self._ends_at:
                return None  # what is still claimed is released when all senders are done
            if self._claimed and now >= self._begin_before:
                await self._release()  # too late to end within the lease; they are due, and claimed again
            if not self._claimed:
                await self._claim(now)
            return self._claimed.popleft() if self._claimed else None

    async def _claim(self, now: float) -> None:
        try:
            claimed = await asyncio.to_thread(
                self._ledger.claim,
                *self._key,
                now=clock.now(),
                lease_seconds=self._lease_seconds,
                limit=self._policy.claim_limit,
                token=self._token,
            )
        except StoreUnavailable as error:
            self._fault, self._stopped = error, True
            return
        if not claimed:
            self._stopped = True  # nothing is due; the other senders need not ask again
        if self._ends_at == math.inf:
            # From the first claim on, so that a slow store cannot use up the budget before anything is sent.
            self._ends_at = asyncio.get_running_loop().time() + self._policy.budget_seconds
        self._claimed.extend(claimed)
        self._begin_before = now + LEASE_EXTRA_SECONDS - _RECORD_SECONDS

    async def _release(self) -> None:
        rest, self._claimed = list(self._claimed), deque()
        if not rest:
            return
        try:
            await asyncio.to_thread(self._ledger.release, rest, token=self._token)
        except StoreUnavailable:
            log_event(_log, WARNING, "webhook_release_failed", count=len(rest), brand_id=self._key[0])

    def _note(self, sent: Sent) -> None:
        attempt = sent.attempt
        self._outcomes[attempt.outcome] += 1
        if attempt.outcome == DELIVERED:
            self._failures_in_a_row = 0
            return
        self._failures_in_a_row += 1
        if attempt.status in (429, 503):
            self._asked_pause = max(self._asked_pause, retry_after_seconds(sent.retry_after, clock.now()))
        # One request that hangs ends the run: what was begun beside it ends about now, anything begun later would hold
        # this worker for a second deadline. If the endpoint is well, the rest is simply claimed by its next run.
        hangs = attempt.outcome in ("timeout", "connect")
        if hangs or self._failures_in_a_row >= self._policy.stop_after_failures or self._asked_pause:
            self._stopped = True

    def _pause(self, elapsed: float) -> float:
        """How long the endpoint rests: what it asked for, or, if it looks dead, in proportion to the time it cost.

        So a hanging endpoint holds a worker for at most a fifth of the time. The full breaker is a later step.
        """
        failing = self._failures_in_a_row >= self._policy.stop_after_failures
        failing = failing or (elapsed > _SLOW_RUN_SECONDS and 0 < self._outcomes.total() == self._failures_in_a_row)
        pause = min(max(_MIN_PAUSE, elapsed * _PAUSE_SHARE), _MAX_PAUSE) * self._policy.delay_factor if failing else 0.0
        return max(pause, self._asked_pause)

    async def _record(self) -> None:
        """Store results as they come; while one write is under way the next ones gather into one."""
        ended = False
        while not ended:
            results = [await self._results.get()]
            while not self._results.empty():
                results.append(self._results.get_nowait())
            ended = None in results
            await self._record_some([result for result in results if result is not None])

    async def _record_some(self, results: list[tuple[Delivery, Attempt]]) -> None:
        if not results:
            return
        for wait in (*_RECORD_RETRIES, None):
            try:
                stored = await asyncio.to_thread(
                    self._ledger.record_results, results, token=self._token, now=clock.now()
                )
            except StoreUnavailable as error:
                self._stopped = True
                if wait is None:
                    # The brand has them and we cannot say so: sent again when their leases end, same id and bytes.
                    self._fault = error
                    log_event(_log, WARNING, "webhook_results_not_stored", count=len(results), brand_id=self._key[0])
                    return
                await asyncio.sleep(wait)
                continue
            if stored < len(results):
                log_event(_log, WARNING, "webhook_lease_lost", count=len(results) - stored, brand_id=self._key[0])
            return

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
                self._stopped = True
                return
