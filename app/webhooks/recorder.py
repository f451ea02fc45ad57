"""Stores the results of a run, those of a moment in one write."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from app.errors import StoreUnavailable
from app.lib import clock
from app.lib.log import WARNING, log_event
from app.models.delivery import Result
from app.webhooks.feed import Ledger

_RETRIES = (0.2, 0.5, 1.0, 2.0, 4.0)
_MAX_UNRECORDED = 256
_GATHER_SECONDS = 0.05
_MAX_GATHERED = 128

_log = logging.getLogger(__name__)


class Recorder:
    """Args:
    token: of the run; results are stored under it only.
    on_trouble: called when the store does not answer, so that nothing more is begun.
    """

    def __init__(self, ledger: Ledger, token: str, brand_id: str, on_trouble: Callable[[], None]) -> None:
        self._ledger = ledger
        self._token = token
        self._brand_id = brand_id
        self._on_trouble = on_trouble
        self._results: asyncio.Queue[Result | None] = asyncio.Queue(_MAX_UNRECORDED)
        self.fault: StoreUnavailable | None = None

    async def put(self, result: Result) -> None:
        """Have it stored; waits while too many are."""
        await self._results.put(result)

    async def record_now(self, result: Result) -> None:
        """Store one and wait for it."""
        await self._record([result])

    async def close(self) -> None:
        """No more will come; `run` ends when all are stored."""
        await self._results.put(None)

    async def run(self) -> None:
        ended = False
        while not ended:
            results = [await self._results.get()]
            if results != [None]:
                await self._gather(results)
            ended = None in results
            await self._record([result for result in results if result is not None])

    async def _gather(self, results: list[Result | None]) -> None:
        """What comes within a moment, so that it is one write and not ten."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GATHER_SECONDS):
                while len(results) < _MAX_GATHERED and results[-1] is not None:
                    results.append(await self._results.get())

    async def _record(self, results: Sequence[Result]) -> None:
        if not results:
            return
        for wait in (*_RETRIES, None):
            try:
                stored = await asyncio.to_thread(
                    self._ledger.record_results, results, token=self._token, now=clock.now()
                )
            except StoreUnavailable as error:
                self._on_trouble()
                if wait is None:
                    # The brand has them and we cannot say so: sent again when their leases end, same id and bytes.
                    self.fault = error
                    log_event(_log, WARNING, "webhook_results_not_stored", count=len(results), brand_id=self._brand_id)
                    return
                await asyncio.sleep(wait)
                continue
            if stored < len(results):
                log_event(_log, WARNING, "webhook_lease_lost", count=len(results) - stored, brand_id=self._brand_id)
            return
