"""A thread that keeps something in memory fresh, for those who must not wait for a store themselves (`token_keys`)."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Refresher:
    """Calls `refresh` over and over in a thread, and at once when somebody asks.

    Args:
        refresh: must not raise, and has its own time limit; tells whether it worked.
        seconds: between two calls.
    """

    def __init__(self, refresh: Callable[[], bool], seconds: float) -> None:
        self._refresh = refresh
        self._seconds = seconds
        self._condition = threading.Condition()
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._working = True
        """Whether the last call worked; False too when somebody waited for it in vain."""
        self._begun = 0
        self._ended = 0

    def start(self) -> None:
        """Have the thread run. Cheap when it does; in a process that was forked since, it starts another."""
        if self._thread is not None and self._thread.is_alive():
            return
        with self._condition:
            if not self._closed and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, name="refresher", daemon=True)
                self._thread.start()

    def ask(self, timeout: float) -> bool:
        """Wait for a call that begins after this one; whether it ended in time.

        Does not wait at all while the calls do not work: then only the regular ones go on.
        """
        with self._condition:
            if not self._working or self._closed:
                return False
            # The call that is running may have been given its answer already.
            awaited = self._begun + 1
            self._wanted.set()
            ended = self._condition.wait_for(lambda: self._ended >= awaited, timeout)
            self._working = self._working and ended
            return ended

    def close(self) -> None:
        """End the thread, when its call has ended."""
        self._closed = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while not self._closed:
            with self._condition:
                self._begun += 1
            worked = self._refresh()
            with self._condition:
                self._ended, self._working = self._begun, worked
                self._condition.notify_all()
            self._wanted.wait(self._seconds)
            self._wanted.clear()
