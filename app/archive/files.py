"""Cuts an hour's lines into gzip files, each small enough to be held in memory and sent in one piece.

gzip, because it is the one compression that every warehouse loads JSON Lines from without a word of configuration. One
file is one PUT: it is there whole or not at all, and a run that was killed leaves no half of a multipart upload behind,
which the brand would pay for.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator

from app.archive.lines import UnreadableArchive
from app.models.archive import ArchivedFile

MAX_EVENTS = 100_000
MAX_BYTES = 32 * 1024 * 1024
"""Compressed. A file is a little larger when its last page of events was."""
MAX_LINE_BYTES = 1024 * 1024
"""When reading: no event of ours is near it."""

_LEVEL = 6
_GZIP = 16 + zlib.MAX_WBITS
_READ_BYTES = 64 * 1024


class FileWriter:
    """One file. zlib's own gzip header has no time and no name, so the same events give the same bytes."""

    def __init__(self, number: int, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._number = number
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._parts: list[bytes] = []
        self._size = 0
        self._events = 0
        self._first = self._last = ""

    @property
    def room(self) -> int:
        """How many more events it takes."""
        return 0 if self._size >= self._max_bytes else self._max_events - self._events

    @property
    def empty(self) -> bool:
        return self._events == 0

    def add(self, line: bytes, event_id: str) -> None:
        part = self._deflate.compress(line)
        if part:
            self._parts.append(part)
            self._size += len(part)
        self._events += 1
        self._first = self._first or event_id
        self._last = event_id

    def close(self) -> tuple[ArchivedFile, bytes]:
        """What it is called and its bytes. The name carries their digest: other bytes never replace them."""
        content = b"".join([*self._parts, self._deflate.flush()])
        digest = hashlib.sha256(content).hexdigest()
        name = f"events-{self._number:05d}-{digest[:32]}.jsonl.gz"
        return ArchivedFile(name, self._events, len(content), digest, self._first, self._last), content


def read_gzip_lines(content: bytes) -> Iterator[bytes]:
    """The lines of a file, unpacked piece by piece: what a few megabytes unpack to is not known beforehand.

    Raises:
        UnreadableArchive: it is not gzip, is cut off, or has a line longer than any event.
    """
    inflate = zlib.decompressobj(_GZIP)
    rest, waiting = b"", content
    while not inflate.eof:
        try:
            piece = inflate.decompress(waiting, _READ_BYTES)
        except zlib.error as error:
            raise UnreadableArchive("a file is not gzip") from error
        waiting = inflate.unconsumed_tail
        if not piece and not waiting and not inflate.eof:
            raise UnreadableArchive("a file is cut off")
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise UnreadableArchive("a file has a line that is no event's")
        yield from lines
    if rest or inflate.unused_data:
        raise UnreadableArchive("a file has more in it than was written")
