"""Sends botocore's signed requests: one connection each, to an address that may be dialled, with one deadline for all.

botocore's own session has a time limit per read (a store that drips holds it for ever), asks the environment for a
proxy, and dials whatever a name resolves to. A handler of its event `before-send` that answers takes its place.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LookupTimeout
from typing import Any, Protocol
from urllib.parse import urlsplit

from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped]  # publishes no types
from botocore.exceptions import ConnectionError as BotoConnectionError  # type: ignore[import-untyped]  # as above

from app.lib.deadline import Deadline

CONNECT_SECONDS = 5.0
DNS_SECONDS = 3.0
_PIECE = 64 * 1024

# getaddrinfo cannot be cancelled; these threads are never waited for.
_lookups = ThreadPoolExecutor(max_workers=4, thread_name_prefix="archive-dns")


class Guard(Protocol):
    def allows(self, text: str) -> bool:
        """Whether an address in text form may be dialled."""


class NotSent(BotoConnectionError):  # type: ignore[misc]  # botocore has no types
    """No whole answer. Among those botocore tries again; carries a word, never a URL or a header."""

    fmt = "{error}"

    def __init__(self, error: str) -> None:
        super().__init__(error=error)
        self.reason = error


class BlockedEndpoint(Exception):
    """Every address of the store is one that must not be dialled. Trying again is useless."""


class OutOfTime(Exception):
    """The call's deadline is over. Not among what botocore tries again."""


class _Content(io.BytesIO):
    """An answer's body as botocore reads it."""

    def stream(self) -> Iterator[bytes]:
        while piece := self.read(_PIECE):
            yield piece


class Dialler:
    """Answers `before-send`. For one thread.

    Args:
        max_bytes: the most that an answer's body may have.
    """

    def __init__(self, guard: Guard, *, max_bytes: int) -> None:
        self._guard = guard
        self._max_bytes = max_bytes
        self._tls = ssl.create_default_context()
        self._until = 0.0
        self._deadline = Deadline(0)

    def begin(self, seconds: float) -> None:
        """A call begins, and has so long for all its attempts together."""
        self._until = time.monotonic() + seconds
        self._deadline = Deadline(seconds)

    def __call__(self, request: Any, **_: Any) -> AWSResponse:
        url = urlsplit(request.url)
        connection = http.client.HTTPConnection(url.hostname or "", url.port)
        try:
            with self._connected(connection, url.scheme, url.hostname or "", url.port) as watched:
                answer = self._exchange(connection, request, url.path or "/", url.query)
                if watched.over:
                    # What was hung up on looks like the end of an answer that does not say how long it is.
                    raise OSError("deadline")
                return answer
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() >= self._until:
                raise OutOfTime from None
            raise NotSent(type(error).__name__) from None  # the text could quote the URL

    def _connected(
        self, connection: http.client.HTTPConnection, scheme: str, host: str, port: int | None
    ) -> _UntilDeadline:
        plain = self._dial(host, port or (443 if scheme == "https" else 80))
        watched = _UntilDeadline(plain, self._deadline.left())
        try:
            plain.settimeout(self._deadline.left())
            if scheme == "https":
                # The handshake by itself, so that it can be hung up on too.
                watched.socket = self._tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
                watched.socket.do_handshake()
        except BaseException:
            watched.close()
            raise
        connection.sock = watched.socket
        return watched

    def _dial(self, host: str, port: int) -> socket.socket:
        """A connection to the first allowed address that answers."""
        lookup = _lookups.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            found = lookup.result(min(DNS_SECONDS, self._deadline.left()))
        except LookupTimeout as error:
            raise OSError("name lookup timed out") from error
        allowed = [info for info in found if self._guard.allows(str(info[4][0]))]
        if not allowed:
            raise BlockedEndpoint
        failure: OSError = OSError("no address")
        for family, kind, protocol, _, address in allowed:
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(min(CONNECT_SECONDS, self._deadline.left()))
                sock.connect(address)
            except OSError as error:
                sock.close()
                failure = error
            else:
                return sock
        raise failure

    def _exchange(self, connection: http.client.HTTPConnection, request: Any, path: str, query: str) -> AWSResponse:
        # `Expect` is for a body that is too dear to send in vain; http.client does not wait for the answer to it.
        headers = {name: _text(value) for name, value in request.headers.items() if name.lower() != "expect"}
        connection.request(
            request.method,
            f"{path}?{query}" if query else path,
            body=request.body,
            headers=headers | {"Connection": "close"},
        )
        with connection.getresponse() as answer:
            content = answer.read(self._max_bytes + 1)
        if len(content) > self._max_bytes:
            raise OSError("answer too large")
        length = answer.headers.get("Content-Length", "")
        if request.method != "HEAD" and length.isdigit() and len(content) != int(length):
            raise OSError("answer cut off")
        return AWSResponse(request.url, answer.status, answer.headers, _Content(content))


class _UntilDeadline:
    """Hangs up when the time is over, whatever is being read or written at that moment."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self.socket: Any = sock
        self.over = False
        self._timer = threading.Timer(seconds, self._hang_up)
        self._timer.daemon = True
        self._timer.start()

    def _hang_up(self) -> None:
        self.over = True
        try:
            # Not the method of a TLS socket, which takes its state from under the reading thread.
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
        except OSError:
            return  # closed at this moment

    def close(self) -> None:
        self._timer.cancel()
        self.socket.close()

    def __enter__(self) -> _UntilDeadline:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
