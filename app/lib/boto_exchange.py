"""Carries a request that botocore has signed over a connection of ours.

botocore's own session has a time limit per read (a store that drips holds it for ever), asks the environment for a
proxy, and dials whatever a name resolves to. A handler of its event `before-send` that answers takes its place.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse  # type: ignore[import-untyped]  # publishes no types

from app.lib.bounded_socket import BoundedSocket

_PIECE = 64 * 1024


class LentConnection(HTTPConnection):
    """Speaks HTTP over a socket that is somebody else's, and never dials by itself."""

    auto_open = 0

    def lend(self, connected: BoundedSocket) -> None:
        self.sock: Any = _Lent(connected)

    @property
    def open(self) -> bool:
        """Whether another request may follow on it."""
        return self.sock is not None


def exchange(connection: LentConnection, request: AWSPreparedRequest, *, last: bool) -> AWSResponse:
    """Send a signed request and read its answer whole.

    Args:
        last: no other follows on the connection.

    Raises:
        OSError, HTTPException, ValueError: no whole answer came within the time and the bytes that the socket allows.
    """
    parts = request.url.split("/", 3)
    # `Expect` is for a body that is too dear to send in vain; http.client does not wait for the answer to it.
    headers = {name: _text(value) for name, value in request.headers.items() if name.lower() != "expect"}
    # What was signed is the host without the scheme's own port; http.client would add that of https.
    headers["Host"] = parts[2]
    if last:
        headers["Connection"] = "close"
    connection.request(request.method, "/" + "".join(parts[3:]), request.body, headers)
    with connection.getresponse() as answer:
        return AWSResponse(request.url, answer.status, answer.headers, _Content(answer.read()))


class _Lent:
    """As much of a socket as http.client calls. It closes one as soon as an answer's headers say so, and relies on
    Python's own to stay open until the body is read."""

    def __init__(self, lender: BoundedSocket) -> None:
        self.sendall = lender.sendall
        self.makefile = lender.makefile

    def close(self) -> None:
        """Its lender closes it."""


class _Content(io.BytesIO):
    """An answer's body as botocore reads it."""

    def stream(self) -> Iterator[bytes]:
        while piece := self.read(_PIECE):
            yield piece


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
