"""One connection to a receiver: dialled to an address the guard allows, used for one exchange after the other.

What the pieces of an answer mean is `http_answer`; which connection takes which delivery is `transport`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, cast

from app.webhooks.address_guard import AddressGuard, AddressInfo, BlockedAddress
from app.webhooks.http_answer import AnswerReader, BrokenAnswer

_MAX_ADDRESSES = 4
_TLS_CLOSE_SECONDS = 1.0


class Failed(Exception):
    """No answer came.

    Attributes:
        outcome: the failure's class: `dns`, `connect`, `tls`, `reset`.
    """

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Peer(NamedTuple):
    """Whom to dial. The name is also the one in TLS (SNI and certificate), whatever address is dialled."""

    host: str
    port: int
    tls: ssl.SSLContext | None


class Connection(asyncio.Protocol):
    """Made by `dial`."""

    def __init__(self, on_lost: Callable[[Connection], None]) -> None:
        loop = asyncio.get_running_loop()
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None
        self._answered: asyncio.Future[None] | None = None
        self._new_future = loop.create_future
        self.made_at = loop.time()
        self.heard = False
        """Whether anything came back in the present exchange."""

    async def exchange(self, request: bytes) -> AnswerReader:
        """Send one request and read its answer. There is no deadline here; cancelled, the connection is of no more use.

        Raises:
            Failed: the connection ended before an answer.
            BrokenAnswer: what came was none.
        """
        if not self.usable:
            raise Failed("reset")
        assert self._transport is not None  # noqa: S101 - `usable` has looked, this is for mypy
        self.heard = False
        self._reader, self._answered = AnswerReader(), self._new_future()
        self._transport.write(request)
        try:
            await self._answered
            return self._reader
        finally:
            self._reader = self._answered = None

    @property
    def usable(self) -> bool:
        """Whether the other side has it still open, as far as we know, and has taken all we wrote."""
        transport = self._transport
        return transport is not None and not transport.is_closing() and not transport.get_write_buffer_size()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """At once, with whatever is under way; nothing more is read."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        reader, answered = self._reader, self._answered
        if reader is None or answered is None or answered.done():
            self.abort()  # nobody asked
            return
        self.heard = True
        try:
            reader.feed(data)
        except BrokenAnswer as error:
            answered.set_exception(error)
            return
        if reader.done:
            answered.set_result(None)
        elif reader.flooded and self._transport is not None:
            self._transport.pause_reading()  # the deadline ends it

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_lost(self)
        reader, answered = self._reader, self._answered
        if reader is None or answered is None or answered.done():
            return
        reader.end()
        if reader.done:
            answered.set_result(None)
        else:
            answered.set_exception(Failed("tls" if isinstance(exc, ssl.SSLError) else "reset"))


async def dial(
    guard: AddressGuard,
    peer: Peer,
    addresses: list[AddressInfo],
    seconds: float,
    on_lost: Callable[[Connection], None],
) -> Connection:
    """A new connection to the first address that takes one.

    Each address has an even share of the time that is left, so that one that swallows packets leaves some to the next.

    Args:
        seconds: for all of them together, TLS included.
    Raises:
        BlockedAddress: the guard gives no socket for any of the addresses.
        Failed: `connect` or `tls`.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + seconds
    addresses = addresses[:_MAX_ADDRESSES]
    blocked = 0
    for number, info in enumerate(addresses):
        try:
            async with asyncio.timeout_at(loop.time() + (ends_at - loop.time()) / (len(addresses) - number)):
                return await _open(guard, peer, info, partial(Connection, on_lost))
        except BlockedAddress:
            blocked += 1
        except OSError:  # also its own timeout
            continue
    if blocked == len(addresses):
        raise BlockedAddress("blocked address")
    raise Failed("connect")


async def _open(guard: AddressGuard, peer: Peer, info: AddressInfo, make: Callable[[], Connection]) -> Connection:
    loop = asyncio.get_running_loop()
    dialled = guard.open_socket(info)
    try:
        dialled.setblocking(False)
        await loop.sock_connect(dialled, info[4])
    except BaseException:
        dialled.close()
        raise
    if peer.tls is None:
        return (await loop.create_connection(make, sock=dialled))[1]
    try:
        _, connection = await loop.create_connection(
            make, sock=dialled, ssl=peer.tls, server_hostname=peer.host, ssl_shutdown_timeout=_TLS_CLOSE_SECONDS
        )
    except OSError as error:  # ssl.SSLError, or the other side hangs up when it hears of TLS
        raise Failed("tls") from error
    return connection
