"""Everybody who asks a running copy something: people with a link, a brand with its key, strangers with raw bytes.

Nobody's DNS knows the hosts of the brands, so each request goes to the copy's own address with the link's `Host`. Each
has a connection of its own: a request that is repeated silently on another one would be a second hit.
"""

from __future__ import annotations

import http.client
import io
import json as json_text
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local.run_file import RunInfo

BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0"
_MAX_BODY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json_text.loads(self.body)

    def all_bytes(self) -> bytes:
        """Everything that came back, but for the status line."""
        return str(self.headers).encode("latin-1") + b"\n" + self.body


class Client:
    """Args:
    info: the copy.
    timeout: seconds for one answer.
    """

    def __init__(self, info: RunInfo, *, timeout: float = 30.0) -> None:
        address = urlsplit(info.url)
        self._address = (address.hostname or "", address.port or 80)
        self._keys = info.api_keys
        self._shipper_status = Path(info.journal_dir).parent / "shipper" / "status.json"
        self._timeout = timeout

    def hit(
        self, link: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Follow a link (http://host:port/path?query) as a browser would, but for redirects.

        Raises:
            OSError, http.client.HTTPException: no whole answer came; whether the hit was recorded is not known.
        """
        parts = urlsplit(link)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        return self.request(method, target, {"Host": parts.netloc, "User-Agent": BROWSER, **(headers or {})}, body)

    def api(
        self,
        method: str,
        path: str,
        brand: str | None = None,
        json: Any = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Call `/v1…` with a brand's key; `json` or the bytes of `body` as its body."""
        given = {"Host": "api.telltale.example"}
        if brand is not None:
            given["Authorization"] = f"Bearer {self._keys[brand]}"
        if json is not None:
            body = json_text.dumps(json).encode()
        if body is not None:
            given["Content-Type"] = "application/json"
        return self.request(method, path, {**given, **(headers or {})}, body)

    def register(self, brand: str, message: Mapping[str, Any], **headers: str) -> list[dict[str, Any]]:
        """Register messages; what the API made of each recipient's."""
        answer = self.api("POST", "/v1/messages", brand, message, headers=headers)
        if answer.status != 201:
            raise AssertionError(f"not registered: {answer.status} {answer.body[:1000]!r}")
        registered: list[dict[str, Any]] = answer.json()["messages"]
        return registered

    def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """One request with exactly these headers (and the length of the body)."""
        connection = http.client.HTTPConnection(*self._address, timeout=self._timeout)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            with suppress(BrokenPipeError, ConnectionResetError):
                # A body that is too large is refused while it is still on its way.
                connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read(_MAX_BODY))
        finally:
            connection.close()

    def raw(self, request: bytes) -> list[Answer]:
        """Send bytes as they are and read until the server closes (so ask for that); the answers in order."""
        method = request.partition(b" ")[0].decode("latin-1")
        with socket.create_connection(self._address, timeout=self._timeout) as connection:
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(request)
            received = b""
            with suppress(ConnectionResetError):
                while chunk := connection.recv(65_536):
                    received += chunk
        answers: list[Answer] = []
        stream = io.BytesIO(received)
        while stream.tell() < len(received):
            response = http.client.HTTPResponse(_Received(stream), method=method)  # type: ignore[arg-type]  # enough
            response.begin()
            answers.append(Answer(response.status, response.headers, response.read()))
        return answers

    def connect(self) -> socket.socket:
        """A connection to the copy, for whoever wants to say things slowly."""
        return socket.create_connection(self._address, timeout=self._timeout)

    def wait_until_stored(self, seconds: float = 60.0) -> None:
        """Wait until every hit answered so far is in MongoDB, or was found to be nobody's: the journal is drained."""
        seen: set[float] = set()
        since = time.time()

        def drained() -> bool:
            status = _read_json(self._shipper_status)
            if status["at"] <= since or status["behind_bytes"] or status["in_flight"]:
                return False
            # Of two such reports the second one's look at the journal began after the first, so after the last hit.
            seen.add(status["at"])
            return len(seen) > 1

        eventually(drained, "the journal is drained", seconds)


def eventually(claim: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """What the claim says as soon as it is true; an AssertionError when it does not become true in time."""
    until = time.monotonic() + seconds
    while not (found := claim()):
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
    return found


def _read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json_text.loads(path.read_text(encoding="utf-8"))
    return content


class _Received(io.BytesIO):
    """Bytes as the socket that HTTPResponse wants."""

    def __init__(self, stream: io.BytesIO) -> None:
        self._stream = stream

    def makefile(self, *_: Any) -> Any:
        return _Unclosed(self._stream)


class _Unclosed(io.RawIOBase):
    """A view of a stream that outlives the response that was read from it."""

    def __init__(self, stream: io.BytesIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readline(self, size: int | None = -1) -> bytes:  # type: ignore[override]
        return self._stream.readline(-1 if size is None else size)

    def read(self, size: int | None = -1) -> bytes:  # type: ignore[override]
        return self._stream.read(size)

    def readinto(self, buffer: Any) -> int:
        return self._stream.readinto(buffer)
