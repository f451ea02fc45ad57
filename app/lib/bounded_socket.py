"""A connected socket that a peer cannot hold: every call is within the time and the bytes that are left.

The clients over it (py-amqp, http.client) read in loops that start their timeout anew with each byte, and read as much
as the peer says it will send. A brand's broker or store is a stranger's server, so the limits stand here, below them.
"""

from __future__ import annotations

import io
import select
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class BoundedSocket:
    """Owns a connected socket, with TLS or without.

    Args:
        address: the one that was dialled, in text form.
    """

    def __init__(self, raw: socket.socket, address: str) -> None:
        self.raw = raw
        self.address = address
        self.connected_at = time.monotonic()
        self._until = 0.0
        self._bytes = 0

    def allow(self, until: float, most_bytes: int) -> None:
        """What the calls from here on may take together.

        Args:
            until: on `time.monotonic()`'s scale.
            most_bytes: how much may be read.
        """
        self._until = until
        self._bytes = most_bytes

    def receive_into(self, buffer: WriteableBuffer) -> int:
        """As `socket.recv_into`.

        Raises:
            OSError: TimeoutError among them, and when the peer sent more than was allowed.
        """
        self._set_time_left()
        count = self.raw.recv_into(buffer)
        self._bytes -= count
        if self._bytes < 0:
            raise OSError("the peer sent more than it may")
        return count

    def receive(self, most: int) -> bytes:
        """What has come, `most` bytes of it at most; waits for the first. Empty when the peer has closed."""
        buffer = bytearray(min(most, 65_536))
        return bytes(buffer[: self.receive_into(buffer)])

    def sendall(self, data: ReadableBuffer) -> None:
        """Send everything; after an error nobody knows how much was sent.

        Raises:
            OSError: TimeoutError among them.
        """
        view = memoryview(data).cast("B")
        while view:
            self._set_time_left()
            view = view[self.raw.send(view) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        """For http.client, which asks for "rb"."""
        if mode != "rb":
            raise ValueError("is only for reading")
        return io.BufferedReader(_Reader(self))

    def is_quiet(self) -> bool:
        """Whether nothing has come: on a connection at rest, anything that comes is its end or the peer's complaint."""
        poll = select.poll()  # `select` knows no descriptors beyond 1023
        poll.register(self.raw, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Only this process's end of it: no TLS farewell and no `shutdown`, which would also hit a fork's copy."""
        self.raw.close()

    def _set_time_left(self) -> None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("out of time")
        self.raw.settimeout(left)


class _Reader(io.RawIOBase):
    def __init__(self, source: BoundedSocket) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self._source.receive_into(buffer)
