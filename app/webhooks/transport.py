"""One POST of one webhook, inside one total deadline, and what became of it. Never raises: every end is an `Attempt`.

Rules: webhooks.md, sections Request, Response semantics, Timeouts and limits, Outbound transport.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import time
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from types import SimpleNamespace, TracebackType
from typing import NamedTuple

import aiohttp
from yarl import URL

from app.lib import clock
from app.lib.log import INFO, log_event
from app.models.delivery import Attempt, Delivery, Endpoint
from app.webhooks.address_guard import AddressGuard, BlockedAddress, GuardedResolver
from app.webhooks.body import delivery_body
from app.webhooks.signing import sign

VERSION = "0.1.0"
"""Goes into the user agent; a test compares it with pyproject.toml."""
DELIVERED = "delivered"
REDIRECT = "redirect"
NO_SECRET = "no_secret"  # noqa: S105 - an outcome
"""Every signing key has expired: nothing was sent."""
INSTRUCTIONS = frozenset({"abort-message", "disable"})
CONNECT_SECONDS = 5.0
MAX_HEADER_BYTES = 32 * 1024
MAX_BODY_BYTES = 64 * 1024
MAX_LOGGED_BYTES = 4 * 1024
_MAX_HEADERS = 100
_MAX_LINE = 8190
_POOL_SECONDS = 30.0
"""How long an idle connection is kept; a delivery run is shorter, and a run is one endpoint's own pool."""

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


class _Trace:
    """Whether the connection of this request had carried one before."""

    reused = False


@lru_cache(maxsize=1)
def default_tls() -> ssl.SSLContext:
    """The system's authorities, TLS 1.2 or later. Once per process: loading the authorities takes ~10 ms."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Sender:
    """Sends to one endpoint; `async with`, inside a running event loop.

    One per endpoint and run: its connections are never shared with another brand.

    Args:
        allow_http: plain HTTP is allowed (an operator's choice for tests and internal receivers).
        max_in_flight: connections at most.
        tls: for tests with an authority of their own.
    """

    def __init__(
        self,
        guard: AddressGuard,
        *,
        allow_http: bool = False,
        max_in_flight: int = 8,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = guard
        self._allow_http = allow_http
        self._max_in_flight = max_in_flight
        self._tls = tls or default_tls()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Sender:
        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(self._guard),
            socket_factory=self._guard.open_socket,
            ssl=self._tls,
            limit=self._max_in_flight,
            keepalive_timeout=_POOL_SECONDS,
            ttl_dns_cache=60,
        )
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            # The total deadline is ours, around everything: aiohttp's own does not cover all of it.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_LINE,
            max_headers=_MAX_HEADERS,
            skip_auto_headers=("Accept",),
            trace_configs=[trace],
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, endpoint: Endpoint, delivery: Delivery) -> Sent:
        """One attempt. Every failure is an outcome; only cancellation passes through."""
        started_at, start = clock.now(), time.monotonic()
        try:
            async with asyncio.timeout(endpoint.deadline_seconds):
                answer = await self._post(endpoint, delivery, started_at)
        except Exception as error:  # noqa: BLE001 - whatever a hostile server provokes is an outcome, not a crash
            answer = _Answer(failure_class(error))
            if answer.outcome == "protocol":
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
        if self._session is None:
            raise RuntimeError("a Sender is used inside `async with`")
        url = URL(endpoint.url, encoded=True)  # exactly as saved; quoting again could change it
        if url.scheme != "https" and not (self._allow_http and url.scheme == "http"):
            raise BlockedAddress("scheme not allowed")
        keys = endpoint.keys_at(now)
        if not keys:
            return _Answer(NO_SECRET)
        body = delivery_body(delivery)
        headers = _headers(endpoint, delivery, keys, int(now.timestamp()), body)
        # A server may close an idle connection just as it is used again: then, and only then, the same attempt takes
        # the next connection. At most every idle connection fails so, and the deadline holds over all of it.
        for _ in range(self._max_in_flight):
            trace = _Trace()
            try:
                return await self._exchange(url, headers, body, trace)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if not trace.reused:
                    raise
        return await self._exchange(url, headers, body, _Trace())

    async def _exchange(self, url: URL, headers: dict[str, str], body: bytes, trace: _Trace) -> _Answer:
        assert self._session is not None  # noqa: S101 - checked by the only caller, this is for mypy
        async with self._session.post(
            url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=trace
        ) as answer:
            if sum(len(name) + len(value) + 4 for name, value in answer.raw_headers) > MAX_HEADER_BYTES:
                answer.close()
                raise aiohttp.ClientPayloadError("response headers too large")
            text = await _read(answer)
            outcome = _outcome_of(answer.status)
            if outcome == DELIVERED:
                return _Answer(outcome, answer.status, text)
            return _Answer(
                outcome,
                answer.status,
                text,
                retry_after=answer.headers.get("Retry-After"),
                instruction=_instruction(answer.headers.get("webhook-delivery", "")),
                location_host=_location_host(url, answer.headers.get("Location", "")) if outcome == REDIRECT else "",
            )


def failure_class(error: BaseException) -> str:
    """The class under which a failure is logged and shown. Order matters: aiohttp's errors inherit from each other."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, BlockedAddress):
        return "blocked_address"
    if isinstance(error, aiohttp.InvalidUrlClientError):
        return "blocked_address"  # 127.1 and 2130706433 in place of a name: aiohttp refuses them before we do
    classes: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
        (BlockedAddress, "blocked_address"),
        (aiohttp.ClientConnectorDNSError, "dns"),
        ((aiohttp.ClientSSLError, ssl.SSLError), "tls"),
        (aiohttp.ConnectionTimeoutError, "connect"),
        (aiohttp.ClientConnectorError, "connect"),
        (TimeoutError, "timeout"),
        ((aiohttp.ServerDisconnectedError, ConnectionError, aiohttp.ClientOSError), "reset"),
    )
    for kinds, name in classes:
        if isinstance(error, kinds):
            return name
    return "protocol"


def _headers(
    endpoint: Endpoint, delivery: Delivery, keys: Sequence[bytes], timestamp: int, body: bytes
) -> dict[str, str]:
    return {
        # First, so that whatever was saved before a name was reserved cannot take the place of ours.
        **{name.lower(): value for name, value in endpoint.headers},
        "webhook-id": delivery.webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(keys, delivery.webhook_id, timestamp, body),
        "content-type": "application/json; charset=utf-8",
        "accept-encoding": "identity",
        "user-agent": f"Telltale-Webhooks/{VERSION}",
        "x-telltale-attempt": str(delivery.attempts + 1),
        "x-telltale-brand": delivery.brand_id,
    }


async def _read(answer: aiohttp.ClientResponse) -> str:
    """The start of the body as text. Reads at most 64 KiB, as it comes (never decompressed), then closes."""
    kept, seen = b"", 0
    try:
        while seen <= MAX_BODY_BYTES:
            chunk = await answer.content.readany()
            if not chunk:
                break
            seen += len(chunk)
            kept += chunk[: max(0, MAX_LOGGED_BYTES - len(kept))]
        else:
            answer.close()
    except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, OSError):
        # The status line and headers are the answer; a body that breaks off changes nothing about it.
        answer.close()
    kind = answer.headers.get("Content-Type", "text/plain")
    if "Content-Encoding" in answer.headers or not _TEXT_TYPE.match(kind):
        return ""
    return _CONTROL.sub(" ", kept.decode("utf-8", "replace")).strip()


def _outcome_of(status: int) -> str:
    if 200 <= status < 300:
        return DELIVERED
    return REDIRECT if 300 <= status < 400 else f"http_{status}"


def _instruction(text: str) -> str:
    text = text.strip().lower()
    return text if text in INSTRUCTIONS else ""


def _location_host(url: URL, location: str) -> str:
    """The host a redirect names, our own for a relative one; empty when it cannot be read as an HTTP URL."""
    try:
        host = url.join(URL(location)).host or "" if location else ""
    except ValueError:
        return ""
    return host if _HOST.fullmatch(host) else ""


async def _note_reuse(
    session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceConnectionReuseconnParams
) -> None:
    context.trace_request_ctx.reused = True
