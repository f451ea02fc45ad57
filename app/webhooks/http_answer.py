"""Reads one HTTP/1.1 answer from whatever pieces a server sends: strict, bounded, and without any input or output.

Only what a webhook's answer can mean is kept: the status, the headers, the first 4 KiB of the body (RFC 9112).
"""

from __future__ import annotations

import re

MAX_HEADER_BYTES = 32 * 1024
MAX_BODY_BYTES = 64 * 1024
"""As they come, chunk framing included. A longer body is left where it is."""
MAX_KEPT_BYTES = 4 * 1024

_BEGINNING = b"HTTP/1."
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})(?: .*)?")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
# A tab may stand in a value; a CR that ends no line, NUL and the rest are how answers are smuggled.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
_MAX_CHUNK_LINE = 1024
_BODILESS = frozenset({204, 304})


class BrokenAnswer(Exception):
    """What came is not HTTP/1.1, or its header block is too large."""


class AnswerReader:
    """Feed it what arrives until `done`. After the header block nothing raises: that block is the answer."""

    __slots__ = ("_buffer", "_framing", "_interim", "_keep_alive", "_left", "done", "headers", "kept", "seen", "status")

    def __init__(self) -> None:
        self.status = 0
        """0 until the header block is complete."""
        self.headers: dict[str, str] = {}
        """Names in lower case; of equal ones the first."""
        self.kept = b""
        self.done = False
        self.seen = 0
        """Bytes of the body so far."""
        self._buffer = b""
        self._interim = 0
        self._framing = ""
        self._left = 0
        self._keep_alive = False

    @property
    def clean(self) -> bool:
        """Whether another request may follow on the connection: everything of this answer came, and nothing more."""
        return self.done and self._keep_alive and not self._buffer

    @property
    def flooded(self) -> bool:
        """A server that sends informational answers without end: nothing more of it need be read."""
        return self._interim > MAX_HEADER_BYTES

    def feed(self, data: bytes) -> None:
        """
        Raises:
            BrokenAnswer: before the header block is complete.
        """
        rest = data if self.status else self._read_heads(data)
        if rest and not self.done:
            self._read_body(rest)
        elif rest:
            self._keep_alive = False  # more than was announced

    def end(self) -> None:
        """The connection has ended. A body that breaks off changes nothing about the answer."""
        self.done, self._keep_alive = bool(self.status), False

    def _read_heads(self, data: bytes) -> bytes:
        """What follows the header block of the answer proper; informational answers before it are passed over."""
        # Searched from where the last piece ended: one byte at a time must not cost the square of their number.
        start = max(0, len(self._buffer) - 3)
        data, self._buffer = self._buffer + data, b""
        while not self.status and not self.flooded:
            if not data.startswith(_BEGINNING[: len(data)]):
                raise BrokenAnswer("not HTTP")
            end = _END_OF_HEAD.search(data, start)
            if (end.start() if end else len(data)) > MAX_HEADER_BYTES:
                raise BrokenAnswer("header block too large")
            if end is None:
                self._buffer = data
                return b""
            self._read_head(data[: end.start()])
            if not self.status:
                self._interim += end.end()
            data, start = data[end.end() :], 0
        return data if self.status else b""

    def _read_head(self, head: bytes) -> None:
        if _CONTROL.search(head):
            raise BrokenAnswer("control character in the header block")
        first, *lines = head.decode("latin-1").replace("\r\n", "\n").split("\n")
        found = _STATUS_LINE.fullmatch(first)
        if found is None:
            raise BrokenAnswer("not a status line")
        status = int(found[2])
        if status == 101:
            raise BrokenAnswer("switches to a protocol nobody asked for")
        headers: dict[str, str] = {}
        for line in lines:
            field = _FIELD.fullmatch(line)
            if field is None:
                raise BrokenAnswer("not a header field")
            name = field[1].lower()
            if headers.setdefault(name, field[2]) != field[2] and name in ("content-length", "transfer-encoding"):
                raise BrokenAnswer("two lengths")
        if status >= 200:
            self._frame(status, headers, keep_alive=found[1] == "1")

    def _frame(self, status: int, headers: dict[str, str], *, keep_alive: bool) -> None:
        """How the body ends (RFC 9112, section 6.3)."""
        length, encoding = headers.get("content-length"), headers.get("transfer-encoding")
        if status in _BODILESS:
            self.done = True
        elif encoding is not None:
            self._framing = "chunked" if encoding.lower().split(",")[-1].strip() == "chunked" else "close"
            keep_alive = keep_alive and length is None
        elif length is not None:
            if not _LENGTH.fullmatch(length):
                raise BrokenAnswer("not a length")
            self._framing, self._left = "length", int(length)
            self.done = not self._left
        else:
            self._framing = "close"
        self._keep_alive = keep_alive and "close" not in headers.get("connection", "").lower()
        self.status, self.headers = status, headers

    def _read_body(self, data: bytes) -> None:
        self.seen += len(data)
        if self._framing == "length":
            self._keep(data[: self._left])
            self._keep_alive = self._keep_alive and len(data) <= self._left
            self._left -= len(data)
            self.done = self._left <= 0
        elif self._framing == "chunked":
            self._buffer += data
            self._read_chunks()
        else:
            self._keep(data)
        if not self.done and self.seen > MAX_BODY_BYTES:
            self.end()

    def _read_chunks(self) -> None:
        """`_left` is what is missing of the current chunk and of the line end behind it."""
        while self._buffer and not self.done:
            if self._left > 2:
                piece = self._buffer[: self._left - 2]
                self._keep(piece)
                self._buffer, self._left = self._buffer[len(piece) :], self._left - len(piece)
            elif self._left:
                if len(self._buffer) < 2:
                    return
                if not self._buffer.startswith(b"\r\n"):
                    self.end()
                self._buffer, self._left = self._buffer[2:], 0
            elif not self._read_chunk_line():
                return

    def _read_chunk_line(self) -> bool:
        """Whether another chunk follows. The last one ends the answer; behind trailers the connection is given up."""
        line = _CHUNK_LINE.match(self._buffer)
        if line is None:
            if b"\n" in self._buffer or len(self._buffer) > _MAX_CHUNK_LINE:
                self.end()
            return False
        size = int(line[1], 16)
        rest = self._buffer[line.end() :]
        if not size:
            if rest == b"\r\n":
                self._buffer, self.done = b"", True
            elif not b"\r\n".startswith(rest):
                self.end()
            return False
        self._buffer, self._left = rest, size + 2
        return True

    def _keep(self, data: bytes) -> None:
        if len(self.kept) < MAX_KEPT_BYTES:
            self.kept += data[: MAX_KEPT_BYTES - len(self.kept)]
