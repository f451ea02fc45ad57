"""Connections to brands' queues that rest between two calls: few, not for long, and of this process only."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from app.lib.bounded_socket import BoundedSocket
from app.lib.guarded_dial import Guard
from app.queues.message import Published, QueueMessage

MAX_RESTING = 64
"""Of all queues together; the one that rested longest makes room."""
MAX_RESTING_PER_QUEUE = 2
MAX_REST_SECONDS = 20.0
MAX_AGE_SECONDS = 60.0
"""Since it was dialled: a name may lead elsewhere by now."""


class Link(Protocol):
    """A connection, logged in."""

    socket: BoundedSocket
    usable: bool
    """False once something went wrong on it."""

    def publish(self, messages: Sequence[QueueMessage], until: float) -> Published: ...

    def close(self) -> None:
        """Takes a tenth of a second at most: whoever publishes may be waiting for it."""


class _Resting(NamedTuple):
    queue_url: str
    link: Link
    since: float


class Pool:
    """Threads may share it. In a fork it is empty: the connections are the parent's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._resting: list[_Resting] = []
        self._timer: threading.Timer | None = None
        _pools.add(self)

    def take(self, queue_url: str, guard: Guard) -> Link | None:
        """A connection that rests, nobody else's from now on; None when there is none that is good."""
        while (link := self._pop(queue_url)) is not None:
            # The guard may be another one than at the dial.
            if self._is_young(link) and link.socket.is_quiet() and guard.allows(link.socket.address):
                return link
            link.close()
        return None

    def put(self, queue_url: str, link: Link) -> None:
        """Let a connection rest that works."""
        with self._lock:
            mine = [one for one in self._resting if one.queue_url == queue_url]
            crowded = mine if len(mine) >= MAX_RESTING_PER_QUEUE else self._resting
            leaves = crowded[0] if crowded is mine or len(crowded) >= MAX_RESTING else None
            if leaves is not None:
                self._resting.remove(leaves)
            self._resting.append(_Resting(queue_url, link, time.monotonic()))
            if self._timer is None:
                self._sweep_later()
        if leaves is not None:
            leaves.link.close()

    def close(self) -> None:
        """Close what rests; the pool can be used again."""
        self._close_those(lambda one: True)

    def __len__(self) -> int:
        return len(self._resting)

    def _pop(self, queue_url: str) -> Link | None:
        with self._lock:
            for one in reversed(self._resting):
                if one.queue_url == queue_url:
                    self._resting.remove(one)
                    return one.link
        return None

    def _is_young(self, link: Link) -> bool:
        return time.monotonic() - link.socket.connected_at < MAX_AGE_SECONDS

    def _sweep(self) -> None:
        now = time.monotonic()
        self._close_those(lambda one: now - one.since >= MAX_REST_SECONDS or not self._is_young(one.link))

    def _close_those(self, leaves: Callable[[_Resting], bool]) -> None:
        with self._lock:
            leaving = [one for one in self._resting if leaves(one)]
            self._resting = [one for one in self._resting if one not in leaving]
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._resting:
                self._sweep_later()
        for one in leaving:
            one.link.close()

    def _sweep_later(self) -> None:
        timer = threading.Timer(MAX_REST_SECONDS / 2, self._sweep)
        timer.daemon = True
        timer.start()
        self._timer = timer

    def leave_to_parent(self) -> None:
        """In a fork: drop the copies without a word to the broker, who knows the parent only."""
        # Whoever held the lock, and the timer's thread, are in the parent.
        copies, self._resting = self._resting, []
        self._lock, self._timer = threading.Lock(), None
        for one in copies:
            one.link.socket.close()


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def _after_fork() -> None:
    for pool in list(_pools):
        pool.leave_to_parent()


os.register_at_fork(after_in_child=_after_fork)
