"""Ctrl-C and SIGTERM: one flag for what waits, and the cancelling of what runs in an event loop."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


class StopSignals:
    """From its making on a stop signal only asks; nothing is torn off in the middle."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in a loop of its own.

        Raises:
            asyncio.CancelledError: a signal came; the coroutine has cleared up behind itself.
        """

        async def cancellable() -> T:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            try:
                if self.asked.is_set():
                    raise asyncio.CancelledError
                return await work
            finally:
                # A second signal must not break off the clearing up of the loop itself.
                self._task = None
                work.close()

        return asyncio.run(cancellable())

    def _ask(self, number: int, frame: FrameType | None) -> None:
        first = not self.asked.is_set()
        self.asked.set()
        if first and self._loop is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
