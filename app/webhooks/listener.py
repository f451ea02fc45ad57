"""A receiver for trying things out (`flask webhooks listen`): verifies what arrives and says it in a line or two.

For one person at a terminal, on this machine; what a real receiver needs is in docs/receiving-webhooks.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from app.lib import clock
from app.webhooks.verify import fault_of

MAX_BODY_BYTES = 1024 * 1024
READ_SECONDS = 20.0
_MAX_SHOWN = 300
"""Characters of one event's data."""
_ENVELOPE = ("id", "type", "timestamp", "schema")


@dataclass(frozen=True, slots=True)
class Listening:
    """How a listener answers."""

    keys: Sequence[bytes]
    """Without any, nothing is verified and every request is taken."""
    status: int
    """Answered to what verifies; what does not gets 401."""
    say: Callable[[str], None]
    """Takes one line at a time."""


def make_server(host: str, port: int, listening: Listening) -> ThreadingHTTPServer:
    """A server that `serve_forever` runs; port 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """

    class Handler(_Handler):
        settings = listening

    return ThreadingHTTPServer((host, port), Handler)


def describe(headers: dict[str, str], body: bytes, fault: str | None) -> Iterator[str]:
    """What is said of a request, in lines of ASCII: whoever sends it must not move somebody's cursor.

    Args:
        fault: why it does not verify; empty when it does, None when nobody looked.
    """
    verdict = {None: "not verified (no --secret given)", "": "verified"}.get(fault, f"DOES NOT VERIFY: {fault}")
    signatures = len(headers.get("webhook-signature", "").split())
    yield _plain(
        f"{headers.get('webhook-id', '(no webhook-id)')}  attempt {headers.get('x-telltale-attempt', '?')}"
        f"  {len(body)} bytes  {signatures} signature{'' if signatures == 1 else 's'}  {verdict}"
    )
    try:
        found = json.loads(body)
    except ValueError:
        yield "  the body is not JSON"
        return
    for event in _events_of(found):
        about = {name: value for name, value in event.items() if name not in _ENVELOPE}
        data = about.get("data", about)
        yield _plain(f"  {event.get('type')}  {event.get('id')}  {event.get('timestamp')}  {_short(data)}")


class _Handler(BaseHTTPRequestHandler):
    settings: Listening
    protocol_version = "HTTP/1.1"
    timeout = READ_SECONDS

    def do_POST(self) -> None:  # the name is http.server's
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE if length.isdigit() else HTTPStatus.LENGTH_REQUIRED)
            return
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        keys = self.settings.keys
        fault = fault_of(keys, headers, body, clock.now_ms() // 1000) if keys else None
        for line in describe(headers, body, fault):
            self.settings.say(line)
        self._answer(HTTPStatus.UNAUTHORIZED if fault else self.settings.status)

    def do_GET(self) -> None:  # the name is http.server's
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED)

    def _answer(self, status: int) -> None:
        self.send_response_only(status)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # the names are http.server's
        """Everything worth saying is said by `describe`."""


def _events_of(found: Any) -> list[dict[str, Any]]:
    if not isinstance(found, dict):
        return []
    data = found.get("data")
    members = data.get("events") if isinstance(data, dict) and found.get("type") == "events.batch" else None
    events = [found] if not isinstance(members, list) else members
    return [event for event in events if isinstance(event, dict)]


def _short(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"))
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def _plain(text: str) -> str:
    return "".join(char if " " <= char <= "~" or char == "…" else "?" for char in text)
