"""A server in front of OpenSearch that can say it is busy, and be away."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Proxy:
    """Passes requests on, but the next `busy` bulks are answered with 429, and everything with 503 while `away`."""

    def __init__(self, upstream: str) -> None:
        self.busy = 0
        self.away = False
        self.bulks: list[int] = []
        """The status of each."""
        self.requests = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, upstream))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def proxy_to(upstream: str) -> Iterator[Proxy]:
    proxy = Proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.stop()


def _handler(proxy: Proxy, upstream: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            proxy.requests += 1
            status, answer = 503, b"{}"
            if not proxy.away:
                status, answer = self._answer(body)
            if self.path.startswith("/_bulk"):
                proxy.bulks.append(status)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)

        def _answer(self, body: bytes) -> tuple[int, bytes]:
            if self.path.startswith("/_bulk") and proxy.busy:
                proxy.busy -= 1
                return 429, b"{}"
            kept = {name: self.headers[name] for name in ("Content-Type", "Content-Encoding") if self.headers[name]}
            request = urllib.request.Request(upstream + self.path, body or None, kept, method=self.command)
            try:
                with urllib.request.urlopen(request, timeout=20) as found:
                    return found.status, found.read()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read()

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the terminal."""

    return Handler
