"""One POST of one webhook, inside one total deadline, and what became of it. Never raises: every end is an `Attempt`.

Rules: webhooks.md, sections Request, Response semantics, Timeouts and limits, Outbound transport.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import time
from datetime import datetime
from functools import lru_cache
from types import TracebackType
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from app.lib import clock
from app.lib.log import INFO, log_event
from app.models.delivery import Attempt, Delivery, Endpoint
from app.webhooks.address_guard import AddressGuard, BlockedAddress
from app.webhooks.connection import Failed, Peer
from app.webhooks.http_answer import AnswerReader
from app.webhooks.pool import CONNECT_SECONDS, POOL_SECONDS, Pool
from app.webhooks.request import build_request, read_target

DELIVERED = "delivered"
REDIRECT = "redirect"
PROTOCOL = "protocol"
NO_SECRET = "no_secret"  # noqa: S105 - an outcome
"""Every signing key has expired: nothing was sent."""
INSTRUCTIONS = frozenset({"abort-message", "disable"})

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_TEXT_TYPE = re.compile(r"text/|application/(?:[\w.+-]*\+)?(?:json|xml)\b", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_log = logging.getLogger(__name__)


class Sent(NamedTuple):
    """What one attempt gave."""

    attempt: Attempt
    retry_after: str | None = None
    """The `Retry-After` header as received, for `schedule`."""
    instruction: str = ""
    """What the answer's `webhook-delivery` header asks for on a failure: `abort-message`, `disable`, or nothing."""
    location_host: str = ""
    """Where a redirect would have led, for the endpoint's owner."""


class _Answer(NamedTuple):
    """What came back."""

    outcome: str
    status: int | None = None
    text: str = ""
    retry_after: str | None = None
    instruction: str = ""
    location_host: str = ""


@lru_cache(maxsize=1)
def default_tls() -> ssl.SSLContext:
    """The system's authorities, TLS 1.2 or later. Once per process: loading the authorities takes ~10 ms."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Sender:
    """Sends to one endpoint; `async with`, inside a running event loop. Its connections carry no other's deliveries.

    Args:
        allow_http: plain HTTP is allowed (an operator's choice for tests and internal receivers).
        max_in_flight: connections at most.
        tls: for tests with an authority of their own.
        connect_seconds: for all addresses of a name together, TLS included.
        pool_seconds: how long a connection, and what a name led to, is used after it was vetted.
    """

    def __init__(
        self,
        guard: AddressGuard,
        *,
        allow_http: bool = False,
        max_in_flight: int = 8,
        tls: ssl.SSLContext | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        pool_seconds: float = POOL_SECONDS,
    ) -> None:
        self._pool = Pool(guard, connect_seconds=connect_seconds, pool_seconds=pool_seconds)
        self._allow_http = allow_http
        self._tls = tls or default_tls()
        self._slots = asyncio.Semaphore(max_in_flight)

    async def __aenter__(self) -> Sender:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.close()

    async def send(self, endpoint: Endpoint, delivery: Delivery) -> Sent:
        """One attempt. Every failure is an outcome; only cancellation passes through."""
        started_at, start = clock.now(), time.monotonic()
        try:
            async with asyncio.timeout(endpoint.deadline_seconds):
                answer = await self._post(endpoint, delivery, started_at)
        except Exception as error:  # noqa: BLE001 - whatever a hostile server provokes is an outcome, not a crash
            answer = _Answer(failure_class(error))
            if answer.outcome == PROTOCOL:
                log_event(
                    _log, INFO, "webhook_protocol_failure", error=type(error).__name__, brand_id=delivery.brand_id
                )
        attempt = Attempt(
            number=delivery.attempts + 1,
            started_at=started_at,
            seconds=round(time.monotonic() - start, 4),
            outcome=answer.outcome,
            status=answer.status,
            url=endpoint.url,
            response=answer.text,
        )
        return Sent(attempt, answer.retry_after, answer.instruction, answer.location_host)

    async def _post(self, endpoint: Endpoint, delivery: Delivery, now: datetime) -> _Answer:
        keys = endpoint.keys_at(now)
        if not keys:
            return _Answer(NO_SECRET)
        target = read_target(endpoint.url)
        if target.scheme != "https" and not self._allow_http:
            raise BlockedAddress("scheme not allowed")
        peer = Peer(target.host, target.port, self._tls if target.scheme == "https" else None)
        request = build_request(target, endpoint, delivery, keys, now)
        async with self._slots:
            reader = await self._pool.exchange((endpoint.brand_id, endpoint.id), peer, request)
        return _read_answer(reader, endpoint.url)


def failure_class(error: Exception) -> str:
    """The class under which a failure is logged and shown."""
    match error:
        case Failed():
            return error.outcome
        case BlockedAddress():
            return "blocked_address"
        case TimeoutError():
            return "timeout"
    return PROTOCOL


def _read_answer(reader: AnswerReader, url: str) -> _Answer:
    status, headers = reader.status, reader.headers
    if 200 <= status < 300:
        return _Answer(DELIVERED, status, _text(reader))
    redirects = 300 <= status < 400
    instruction = headers.get("webhook-delivery", "").lower()
    return _Answer(
        REDIRECT if redirects else f"http_{status}",
        status,
        _text(reader),
        retry_after=headers.get("retry-after"),
        instruction=instruction if instruction in INSTRUCTIONS else "",
        location_host=_location_host(url, headers.get("location", "")) if redirects else "",
    )


def _text(reader: AnswerReader) -> str:
    """The start of the body, if it is text. Never decompressed."""
    headers = reader.headers
    if not reader.kept or "content-encoding" in headers or not _TEXT_TYPE.match(headers.get("content-type", "text/")):
        return ""
    return _CONTROL.sub(" ", reader.kept.decode("utf-8", "replace")).strip()


def _location_host(url: str, location: str) -> str:
    """The host a redirect names, our own for a relative one; empty when it cannot be read as a URL."""
    try:
        host = urlsplit(urljoin(url, location)).hostname or "" if location else ""
    except ValueError:
        return ""
    return host if _HOST.fullmatch(host) else ""
