"""Stands between a client and a broker: counts connections, and can stop passing on what the broker says."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType

from local.ports import LOOPBACK


class Relay:
    """Passes bytes on in both directions, between its own port and another one of this machine."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.muted = False
        """Whether what the broker says from now on is dropped."""
        self.ended = threading.Event()
        """Set when a client has closed its connection."""
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Relay:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def cut(self) -> None:
        """End every connection."""
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._sockets.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                broker = socket.create_connection((LOOPBACK, self._to))
                self.connections += 1
                self._sockets += [client, broker]
                self._start(self._pass, client, broker, False)
                self._start(self._pass, broker, client, True)

    def _pass(self, source: socket.socket, target: socket.socket, from_broker: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if not (from_broker and self.muted):
                    target.sendall(data)
            if not from_broker:
                self.ended.set()
            target.shutdown(socket.SHUT_WR)

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()
