"""What a run sends next: claimed from the ledger some at a time, the next ones while the last are on their way."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from app.errors import StoreUnavailable
from app.lib import clock
from app.lib.log import WARNING, log_event
from app.models.delivery import Batching, Delivery, Endpoint, Result
from app.webhooks.gate import Gate

_RECORD_SECONDS = 10.0
"""The part of the lease that is kept for recording; no request begins in it."""

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
        self,
        brand_id: str,
        endpoint_id: str,
        *,
        now: datetime,
        lease_seconds: float,
        limit: int,
        token: str,
        batching: Batching | None = None,
        strict: bool = False,
    ) -> list[Delivery]: ...
    def record_results(self, results: Sequence[Result], *, token: str, now: datetime) -> int: ...
    def release(self, deliveries: Sequence[Delivery], *, token: str) -> None: ...
    def has_due(
        self,
        brand_id: str,
        endpoint_id: str,
        *,
        now: datetime,
        batching: Batching | None = None,
        strict: bool = False,
    ) -> bool: ...


class Feed:
    """Args:
    granted: how many requests the gate allows for the first claim; None: no limit.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        ledger: Ledger,
        gate: Gate,
        *,
        limit: int,
        token: str,
        lease_extra_seconds: float,
    ) -> None:
        self._endpoint = endpoint
        self._key = (endpoint.brand_id, endpoint.id)
        self._ledger = ledger
        self._gate = gate
        self._limit = 1 if endpoint.strict else limit
        self._token = token
        self._lease_seconds = endpoint.deadline_seconds + lease_extra_seconds
        self._usable_seconds = lease_extra_seconds - _RECORD_SECONDS
        self._claimed: deque[tuple[float, Delivery]] = deque()
        """With the time until which they may begin."""
        self._claiming: asyncio.Task[None] | None = None
        self._ends_at = math.inf
        self._stopped = False
        self._dry = False
        self.granted: int | None = None
        self._first = True
        self.stopping: Callable[[], bool] = lambda: False
        self.fault: StoreUnavailable | None = None

    def stop(self) -> None:
        """Nothing more is given out; what is claimed is released at the end."""
        self._stopped = True

    async def next(self, budget_seconds: float) -> Delivery | None:
        """The next claimed delivery; None when the run is to end."""
        while True:
            now = asyncio.get_running_loop().time()
            if self._stopped or now >= self._ends_at or self.stopping():
                return None
            if self._claimed:
                begin_before, delivery = self._claimed.popleft()
                if now >= begin_before:
                    # Too late to end within the lease; it and those after it are due, and claimed again.
                    self._claimed.appendleft((begin_before, delivery))
                    await self._release()
                    continue
                if len(self._claimed) < self._limit // 2 and not self._endpoint.strict:
                    self._claim_ahead(budget_seconds)
                return delivery
            if self._dry:
                return None
            self._claim_ahead(budget_seconds)
            if self._claiming is not None:
                await asyncio.shield(self._claiming)

    async def next_many(self, budget_seconds: float) -> list[Delivery]:
        """All that one claim gives; empty when the run is to end."""
        first = await self.next(budget_seconds)
        if first is None:
            return []
        rest = [delivery for _, delivery in self._claimed]
        self._claimed.clear()
        return [first, *rest]

    async def has_more(self) -> bool:
        return await asyncio.to_thread(
            self._ledger.has_due,
            *self._key,
            now=clock.now(),
            batching=self._endpoint.limits,
            strict=self._endpoint.strict,
        )

    async def close(self) -> None:
        """Give back what was claimed and not begun."""
        self._stopped = True
        if self._claiming is not None:
            await self._claiming
        await self._release()

    def _claim_ahead(self, budget_seconds: float) -> None:
        if self._claiming is None and not self._dry:
            self._claiming = asyncio.get_running_loop().create_task(self._claim(budget_seconds))

    async def _claim(self, budget_seconds: float) -> None:
        try:
            limit = await self._allowed()
            if not limit:
                self._stopped = True
                return
            begun = asyncio.get_running_loop().time()
            claimed = await asyncio.to_thread(
                self._ledger.claim,
                *self._key,
                now=clock.now(),
                lease_seconds=self._lease_seconds,
                limit=limit,
                token=self._token,
                batching=self._endpoint.limits,
                strict=self._endpoint.strict,
            )
        except StoreUnavailable as error:
            self.fault, self._stopped = error, True
            return
        finally:
            self._claiming = None
        if self._ends_at == math.inf:
            # From the first claim on, so that a slow store cannot use up the budget before anything is sent.
            self._ends_at = asyncio.get_running_loop().time() + budget_seconds
        self._dry = not claimed  # nobody need ask again
        self._claimed.extend((begun + self._usable_seconds, delivery) for delivery in claimed)

    async def _allowed(self) -> int:
        """How many to claim: the gate was asked for the first claim already."""
        if self._first:
            self._first = False
            return self._limit if self.granted is None else min(self._limit, self.granted)
        if self.granted is None:
            return self._limit
        leave = await asyncio.to_thread(self._gate.leave, self._limit, clock.now())
        return self._limit if leave.requests is None else min(self._limit, leave.requests)

    async def _release(self) -> None:
        rest, self._claimed = [delivery for _, delivery in self._claimed], deque()
        if not rest:
            return
        try:
            await asyncio.to_thread(self._ledger.release, rest, token=self._token)
        except StoreUnavailable:
            log_event(_log, WARNING, "webhook_release_failed", count=len(rest), brand_id=self._key[0])
