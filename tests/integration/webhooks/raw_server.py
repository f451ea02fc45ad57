"""A server on a raw socket that answers, or misbehaves, exactly as a test says. One thread per connection."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple


class Request(NamedTuple):
    line: str
    headers: dict[str, str]
    raw_header_names: list[str]
    body: bytes


Script = Callable[["RawServer", socket.socket, Request], None]


def answer(status: str = "200 OK", headers: str = "", body: bytes = b"ok") -> Script:
    """A well-formed answer; the connection stays open for the next request."""
    data = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body
    return lambda server, connection, request: connection.sendall(data)


def raw(data: bytes) -> Script:
    """These bytes and then the end."""

    def script(server: RawServer, connection: socket.socket, request: Request) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_RDWR)

    return script


def drip(first: bytes, piece: bytes, every_seconds: float = 0.05) -> Script:
    """`first`, and then `piece` again and again until the other side has had enough."""

    def script(server: RawServer, connection: socket.socket, request: Request) -> None:
        connection.sendall(first)
        while not server.closing.wait(every_seconds):
            connection.sendall(piece)

    return script


def flood(first: bytes, piece: bytes, times: int) -> Script:
    """`first`, and then `piece` as fast as the other side takes it; `server.flooded` counts the bytes."""

    def script(server: RawServer, connection: socket.socket, request: Request) -> None:
        connection.sendall(first)
        for _ in range(times):
            connection.sendall(piece)
            server.flooded += len(piece)
        connection.shutdown(socket.SHUT_RDWR)

    return script


def silence(server: RawServer, connection: socket.socket, request: Request) -> None:
    server.closing.wait(30)


def reset(server: RawServer, connection: socket.socket, request: Request) -> None:
    """RST instead of an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())  # close() would wait for the reading side


class RawServer:
    """Plays `scripts` one request after the other; the last one is repeated."""

    def __init__(
        self, *scripts: Script, tls: ssl.SSLContext | None = None, port: int = 0, host: str = "127.0.0.1"
    ) -> None:
        self._scripts = scripts
        self._tls = tls
        self._listener = socket.create_server((host, port), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.scheme = "https" if tls else "http"
        self.url = f"{self.scheme}://{host}:{self.port}/hook"
        self.requests: list[Request] = []
        self.connections = 0
        self.flooded = 0
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> RawServer:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()
        for thread in self._threads:
            thread.join(10)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        # A client that has had enough closes; that is what most of these tests are about.
        with contextlib.suppress(OSError, ValueError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                with self._lock:
                    self._open.append(connection)
            stream = connection.makefile("rb")
            with stream:
                while (request := _read(stream)) is not None:
                    with self._lock:
                        self.requests.append(request)
                        number = len(self.requests) - 1
                    self._scripts[min(number, len(self._scripts) - 1)](self, connection, request)
        connection.close()


def _read(stream: object) -> Request | None:
    readline, read = stream.readline, stream.read  # type: ignore[attr-defined]
    line = readline().decode("latin-1").strip()
    if not line:
        return None
    headers: dict[str, str] = {}
    names: list[str] = []
    while (text := readline().decode("latin-1").strip()) != "":
        name, _, value = text.partition(":")
        names.append(name.lower())
        headers[name.lower()] = value.strip()
    return Request(line, headers, names, read(int(headers.get("content-length", "0"))))


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Poll until something is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen in time")
        time.sleep(0.01)
