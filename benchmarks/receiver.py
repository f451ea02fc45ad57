"""The brands' side for `benchmarks.webhooks`: takes webhooks on loopback, in a process of its own, for next to nothing.

What the first part of a path says is how it answers: `ok`, `error` (500), `hang` (never), `drip` (a header that never
ends). It verifies nothing and keeps when messages were first told of; tests verify with `tests/end_to_end/receiver.py`.

Run as a program it prints its port, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import subprocess
import sys
import threading
import time
from typing import Any

from local.ports import LOOPBACK

_OK = b"HTTP/1.1 204 No Content\r\n\r\n"
_ERROR = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_MESSAGE_ID = re.compile(rb'"message_id":"([^"]+)"')
_TIMED = "/ok/live"
_DRIP_SECONDS = 0.25
_MAX_REQUEST = 1024 * 1024


class Tally:
    """What came so far."""

    def __init__(self) -> None:
        self.requests: dict[str, int] = {}
        """By path."""
        self.events: dict[str, int] = {}
        self.arrivals: dict[str, float] = {}
        """When a message was first told of, on time.monotonic()'s clock, which all processes share, by message id; only
        where the path begins with `/ok/live`."""

    def note(self, path: str, body: bytes, now: float) -> None:
        self.requests[path] = self.requests.get(path, 0) + 1
        self.events[path] = self.events.get(path, 0) + body.count(b'"id":"evt_')
        if path.startswith(_TIMED):
            for message_id in _MESSAGE_ID.findall(body):
                self.arrivals.setdefault(message_id.decode(), now)


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests come one after the other."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._dripping: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._dripping is not None:
            self._dripping.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (found := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer, 0, found)
            end = found + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < end:
                break
            head, body, self._buffer = self._buffer[:found], self._buffer[found + 4 : end], self._buffer[end:]
            self._take(head, body)
        if len(self._buffer) > _MAX_REQUEST and self._transport is not None:
            self._transport.close()

    def _take(self, head: bytes, body: bytes) -> None:
        assert self._transport is not None
        path = head.split(b" ", 2)[1].decode("ascii")
        if path == "/tally":
            self._report()
            return
        self._tally.note(path, body, time.monotonic())
        if path.startswith("/ok/"):
            self._transport.write(_OK)
        elif path.startswith("/error/"):
            self._transport.write(_ERROR)
        elif path.startswith("/drip/"):
            self._transport.write(b"HTTP/1.1 200 OK\r\nX: ")
            self._drip()

    def _drip(self) -> None:
        assert self._transport is not None
        self._transport.write(b"a")
        self._dripping = asyncio.get_running_loop().call_later(_DRIP_SECONDS, self._drip)

    def _report(self) -> None:
        assert self._transport is not None
        body = json.dumps(vars(self._tally)).encode()
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


class Receiver:
    """Starts the program above; ends it with `stop`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.receiver"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    @property
    def pid(self) -> int:
        return self._process.pid

    def url(self, behaviour: str, name: str) -> str:
        return f"http://{LOOPBACK}:{self.port}/{behaviour}/{name}"

    def tally(self) -> dict[str, Any]:
        """The fields of `Tally`."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", "/tally")
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


async def _serve() -> None:
    loop, tally, ended = asyncio.get_running_loop(), Tally(), asyncio.Event()
    server = await loop.create_server(lambda: Connection(tally), LOOPBACK, 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)

    def watch() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=watch, daemon=True).start()
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(_serve())
