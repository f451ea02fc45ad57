"""Many endpoints at once in one process: a thread with an event loop of its own, in which each endpoint's run is a
task.

So an endpoint that hangs holds a connection and a place among many, and no worker. What a killed process had begun
comes back when its leases end.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime

from app.lib.log import log_failure

Key = tuple[str, str]
"""(brand id, endpoint id)."""
Work = Callable[[Key], Awaitable[bool]]
"""Runs an endpoint once; answers whether it is to be run again now."""

MOST_ENDPOINTS = 64
"""At once: a hanging one holds its place for a deadline at most, and rests four times as long."""
EVERY_SECONDS = 0.4
"""A run of an endpoint begins so long after the one before at the earliest, and takes along what came meanwhile: at a
thousand events a second a run's fixed costs were more than its requests. The first is never put off."""
_THREADS = 16
"""For what waits for a store."""

_log = logging.getLogger(__name__)


class Courier:
    """Args:
    work: called in the courier's own event loop.
    closing: called there at the end, when no run is under way any more.
    limit: endpoints at once.
    """

    def __init__(
        self,
        work: Work,
        *,
        closing: Callable[[], Awaitable[None]],
        limit: int = MOST_ENDPOINTS,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        self._work = work
        self._every = every_seconds
        self._begun: OrderedDict[Key, float] = OrderedDict()
        """When the last run of an endpoint began, of those that began a moment ago."""
        self._closing = closing
        self._limit = limit
        self._again: dict[Key, bool] = {}
        """The endpoints that are run now, and whether somebody has asked for one of them since."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._free = asyncio.Condition()
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="courier-store"))
        self._thread = threading.Thread(target=self._loop.run_forever, name="courier", daemon=True)
        self._thread.start()
        self.stopping = False
        """Set when the process ends: runs begin nothing more."""

    def submit(self, key: Key, timeout_seconds: float) -> bool:
        """Have an endpoint run soon; waits while too many are. False: no place became free in time, or it is over."""
        if self.stopping:
            return False
        accepted = asyncio.run_coroutine_threadsafe(self._accept(key), self._loop)
        try:
            accepted.result(timeout_seconds)
        except NotInTime:
            accepted.cancel()
            return False
        return True

    def stop(self, seconds: float) -> None:
        """Let runs end, for so long; what is then still under way is left to its lease."""
        self.stopping = True
        ended = asyncio.run_coroutine_threadsafe(self._wait_for_all(), self._loop)
        try:
            ended.result(seconds)
        except NotInTime:
            asyncio.run_coroutine_threadsafe(self._break_off(), self._loop).result(seconds)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(seconds)
        self._loop.close()

    async def _accept(self, key: Key) -> None:
        async with self._free:
            if key in self._again:
                self._again[key] = True
                return
            await self._free.wait_for(lambda: len(self._again) < self._limit or key in self._again)
            if key in self._again:
                self._again[key] = True
                return
            self._again[key] = False
        task = self._loop.create_task(self._run(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, key: Key) -> None:
        more = True
        try:
            while more:
                await self._paced(key)
                self._again[key] = False
                more = await self._once(key)
                async with self._free:  # whoever asks now is either seen here, or begins a run of their own
                    more = (more or self._again[key]) and not self.stopping
                    if not more:
                        self._leave(key)
        finally:
            if more:  # broken off: nobody waits for a place any more
                del self._again[key]

    async def _once(self, key: Key) -> bool:
        try:
            return await self._work(key)
        except Exception as error:  # noqa: BLE001 - the edge of the thread: one endpoint's fault must not end the others
            log_failure(_log, "webhook_run_failed", error, brand_id=key[0], endpoint_id=key[1])
            return False

    def _leave(self, key: Key) -> None:
        del self._again[key]
        self._free.notify_all()

    async def _paced(self, key: Key) -> None:
        wait = self._begun.get(key, -math.inf) + self._every - self._loop.time()
        if wait > 0 and not self.stopping:
            await asyncio.sleep(wait)
        now = self._loop.time()
        self._begun[key] = now
        self._begun.move_to_end(key)
        while self._begun[next(iter(self._begun))] < now - self._every:
            self._begun.popitem(last=False)

    async def _wait_for_all(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._closing()

    async def _break_off(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._wait_for_all()
