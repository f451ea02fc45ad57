"""A brand's webhook receiver for end-to-end tests: verifies with `standardwebhooks` and remembers what came.

The package knows nothing of Telltale. One receiver serves many endpoints, told apart by the first part of the path.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from local.ports import LOOPBACK

Respond = Callable[[bytes], tuple[int, bytes]]
"""From a webhook's body to the status and body of the answer."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One verified request."""

    id: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    content: dict[str, Any]
    status: int
    """What it was answered with."""


class Receiver:
    """Listens on a free port from `start` until `stop`; also a context manager."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        """What was wrong with requests that were refused: not verified, or changed between two attempts."""
        self._lock = threading.Lock()
        self._received: dict[str, list[Webhook]] = defaultdict(list)
        self._verifiers: dict[str, list[Verifier]] = defaultdict(list)
        self._respond: dict[str, Respond] = {}
        self._server = _Server((LOOPBACK, 0), _Handler)
        self._server.receiver = self
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True)

    def url(self, name: str) -> str:
        """Where the endpoint `name` listens."""
        return f"http://{LOOPBACK}:{self._server.server_port}/{name}"

    def trust(self, name: str, secret: str) -> None:
        """Verify what comes for `name` with this secret (`whsec_…`); several may be right at the same time."""
        self._verifiers[name].append(Verifier(secret.strip()))

    def respond(self, name: str, respond: Respond | None) -> None:
        """Answer `name` differently from now on; None is back to 204."""
        with self._lock:
            if respond is None:
                self._respond.pop(name, None)
            else:
                self._respond[name] = respond

    def received(self, name: str) -> list[Webhook]:
        """Every verified request in the order of arrival, repeats and refused ones included."""
        with self._lock:
            return list(self._received[name])

    def events(self, name: str) -> dict[str, dict[str, Any]]:
        """What the brand knows now: content by webhook id, of requests that were answered with 2xx."""
        return {one.id: one.content for one in self.received(name) if one.status // 100 == 2}

    def take(self, name: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """One request, as the handler got it; status and body of the answer."""
        content = self._verified(name, headers, body)
        if content is None:
            return 400, b"not verified"
        with self._lock:
            status, answer = self._respond.get(name, _thanks)(body)
            webhook = Webhook(headers["webhook-id"], headers, body, content, status)
            if any(one.id == webhook.id and one.body != body for one in self._received[name][-1000:]):
                self.faults.append(f"{name}: {webhook.id} came with two bodies")
            self._received[name].append(webhook)
        return status, answer

    def _verified(self, name: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any] | None:
        problem = "nobody by that name"
        for verifier in self._verifiers.get(name, ()):
            try:
                content: dict[str, Any] = verifier.verify(body, dict(headers))
            except (WebhookVerificationError, ValueError) as error:
                problem = str(error)
            else:
                if content.get("id") == headers["webhook-id"]:
                    return content
                problem = "id differs from its header"
        with self._lock:
            self.faults.append(f"{name}: {problem}")
        return None

    def start(self) -> Receiver:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Receiver:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _thanks(_: bytes) -> tuple[int, bytes]:
    return 204, b""


class _Server(ThreadingHTTPServer):
    receiver: Receiver
    daemon_threads = True
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name = self.path.partition("?")[0].split("/")[1]
        status, answer = self.server.receiver.take(name, {k.lower(): v for k, v in self.headers.items()}, body)
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        if status != 204:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if status != 204:
            self.wfile.write(answer)

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # whoever sent was killed, or has stopped

    def log_message(self, format: str, *args: Any) -> None:
        pass
