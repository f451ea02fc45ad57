"""Answers botocore's `before-send` for a bucket: one connection for each request, one deadline for all of a call."""

from __future__ import annotations

import ssl
import time
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped]  # publishes no types
from botocore.exceptions import ConnectionError as BotoConnectionError  # type: ignore[import-untyped]  # as above

from app.lib.boto_exchange import LentConnection, exchange
from app.lib.guarded_dial import Guard, dial

_HEAD_BYTES = 64 * 1024
"""Of an answer, besides its body; with TLS its records are counted by what they hold."""


class NotSent(BotoConnectionError):  # type: ignore[misc]  # botocore has no types
    """No whole answer. Among those botocore tries again; carries a word, never a URL or a header."""

    fmt = "{error}"

    def __init__(self, error: str) -> None:
        super().__init__(error=error)
        self.reason = error


class OutOfTime(Exception):
    """The call's deadline is over. Not among what botocore tries again."""


class Dialler:
    """For one thread.

    Args:
        max_bytes: the most that an answer's body may have.
    """

    def __init__(self, guard: Guard, *, max_bytes: int) -> None:
        self._guard = guard
        self._max_bytes = max_bytes
        self._tls = ssl.create_default_context()
        self._until = 0.0

    def begin(self, seconds: float) -> None:
        """A call begins, and has so long for all its attempts together."""
        self._until = time.monotonic() + seconds

    def __call__(self, request: Any, **_: Any) -> AWSResponse:
        """
        Raises:
            BlockedHost: nothing was sent.
            NotSent, OutOfTime
        """
        try:
            return self._exchange(request)
        except (OSError, HTTPException, ValueError) as error:
            if time.monotonic() >= self._until:
                raise OutOfTime from None
            raise NotSent(type(error).__name__) from None  # the text could quote the URL

    def _exchange(self, request: Any) -> AWSResponse:
        url = urlsplit(request.url)
        host, encrypted = url.hostname or "", url.scheme == "https"
        port = url.port or (443 if encrypted else 80)
        connected = dial(host, port, guard=self._guard, until=self._until, tls=self._tls if encrypted else None)
        try:
            connected.allow(self._until, self._max_bytes + _HEAD_BYTES)
            connection = LentConnection(host, port)
            connection.lend(connected)
            return exchange(connection, request, last=True)
        finally:
            connected.close()
