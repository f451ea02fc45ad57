"""Connections to receivers: which one takes a request, when another is dialled, and when one has grown too old."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

from app.webhooks.address_guard import AddressGuard, AddressInfo, BlockedAddress
from app.webhooks.connection import Connection, Failed, Peer, dial
from app.webhooks.http_answer import AnswerReader

CONNECT_SECONDS = 5.0
POOL_SECONDS = 60.0
_FAILED_LOOKUP_SECONDS = 2.0
"""So that deliveries that wait for the same name do not each wait for it to fail."""

Owner = tuple[str, str]
"""A brand's id and an endpoint's: a connection never carries what is another's."""


class _LookedUp(NamedTuple):
    until: float
    addresses: list[AddressInfo] | Exception


_NOT_LOOKED_UP = _LookedUp(0.0, [])


class Pool:
    """For one event loop. How many connections there are at once is up to who asks for exchanges.

    Args:
        connect_seconds: for all addresses of a name together, TLS included.
        pool_seconds: how long a connection, and what a name led to, is used after it was vetted.
    """

    def __init__(self, guard: AddressGuard, *, connect_seconds: float, pool_seconds: float) -> None:
        self._guard = guard
        self._connect_seconds = connect_seconds
        self._pool_seconds = pool_seconds
        self._open: set[Connection] = set()
        self._idle: dict[tuple[Owner, Peer], deque[Connection]] = {}
        self._lookups: dict[Peer, _LookedUp] = {}
        self._looking_up = asyncio.Lock()

    async def exchange(self, owner: Owner, peer: Peer, request: bytes) -> AnswerReader:
        """Send a request and read its answer, over a connection that is open or a new one. Without a deadline.

        Raises:
            BlockedAddress: nothing was sent.
            Failed: no answer came.
            BrokenAnswer: what came was none.
        """
        connection = self._take_idle((owner, peer))
        if connection is not None:
            try:
                return await self._use(connection, (owner, peer), request)
            except Failed:
                # A server may close an idle connection just as it is used again: then, and only then, the same attempt
                # takes a new one. The deadline holds over both.
                if connection.heard:
                    raise
        return await self._use(await self._dial(peer), (owner, peer), request)

    async def close(self) -> None:
        """Close everything, also what is in use."""
        for connection in tuple(self._open):
            connection.close()
        await asyncio.sleep(0)
        for connection in tuple(self._open):
            connection.abort()  # with TLS our last word is said; the other side's is not waited for
        await asyncio.sleep(0)

    async def _use(self, connection: Connection, key: tuple[Owner, Peer], request: bytes) -> AnswerReader:
        """One exchange; the connection is kept if another may follow, and gone at once if anything is left of it."""
        keep = False
        try:
            reader = await connection.exchange(request)
            keep = reader.clean and connection.usable
            return reader
        finally:
            if keep:
                self._idle.setdefault(key, deque()).append(connection)
            else:
                connection.abort()

    def _take_idle(self, key: tuple[Owner, Peer]) -> Connection | None:
        idle = self._idle.get(key)
        while idle:
            connection = idle.popleft()  # the longest unused, so that none grows old unseen
            if connection.usable and connection.made_at + self._pool_seconds > asyncio.get_running_loop().time():
                return connection
            connection.close()
        return None

    async def _dial(self, peer: Peer) -> Connection:
        async with self._looking_up:  # whoever waits here finds what the first one found
            now = asyncio.get_running_loop().time()
            if self._lookups.get(peer, _NOT_LOOKED_UP).until <= now:
                self._lookups = {peer: await self._look_up(peer)}
            addresses = self._lookups[peer].addresses
        if isinstance(addresses, Exception):
            raise addresses.with_traceback(None)
        try:
            connection = await dial(self._guard, peer, addresses, self._connect_seconds, self._open.discard)
        except Failed:
            self._lookups.pop(peer, None)  # it may have moved
            raise
        if connection.usable:
            self._open.add(connection)
        return connection

    async def _look_up(self, peer: Peer) -> _LookedUp:
        seconds, addresses = self._pool_seconds, list[AddressInfo]()
        error: Exception | None = None
        try:
            addresses = await self._guard.resolve(peer.host, peer.port)
        except BlockedAddress as blocked:
            seconds, error = _FAILED_LOOKUP_SECONDS, blocked
        except OSError:
            seconds, error = _FAILED_LOOKUP_SECONDS, Failed("dns")
        return _LookedUp(asyncio.get_running_loop().time() + seconds, error or addresses)
