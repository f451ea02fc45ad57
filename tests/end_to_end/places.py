"""Everywhere that a running copy keeps or says something, as bytes to search: files, stores, Flower, metrics."""

from __future__ import annotations

import base64
import codecs
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

import pymongo
import redis
from bson.raw_bson import RawBSONDocument

from local.process_groups import Leader, leader, members
from local.run_file import RunInfo

Found = Iterator[tuple[str, bytes]]
"""Name of a place, and what stands there."""
_CHUNK = 8 * 1024 * 1024
_OVERLAP = 4096


def files(folder: Path) -> Found:
    """Every file of the state folder but for MongoDB's own: logs, journal, Valkey's, nginx's, cursors, counters."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "mongod" not in path.relative_to(folder).parts:
            yield str(path.relative_to(folder)), path.read_bytes()


def mongod_files(folder: Path) -> Found:
    """MongoDB's data files and journal in pieces. They are compressed (snappy), but what comes first stays readable."""
    for path in sorted((folder / "mongod").rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                tail = b""
                while piece := file.read(_CHUNK):
                    if piece.strip(b"\0"):
                        yield f"mongod/{path.name}", tail + piece
                    tail = piece[-_OVERLAP:]


def valkey(url: str) -> Found:
    """Every key of every database with its value, whatever its type."""
    for number in range(16):
        client = valkey_database(url, number)
        try:
            for key in client.scan_iter(count=1000):
                yield f"valkey {number} {key!r}", key + b"\n" + b"\n".join(_value(client, key))
        finally:
            client.close()


def valkey_database(url: str, number: int) -> redis.Redis:
    """A client of one of the server's databases, whichever the URL names."""
    return redis.Redis.from_url(urlsplit(url)._replace(path=f"/{number}").geturl())


def _value(client: redis.Redis, key: bytes) -> Iterator[bytes]:
    match client.type(key):
        case b"string":
            yield client.get(key) or b""
        case b"list":
            yield from client.lrange(key, 0, -1)
        case b"set":
            yield from client.smembers(key)
        case b"zset":
            yield from client.zrange(key, 0, -1)
        case b"hash":
            for name, value in client.hgetall(key).items():
                yield from (name, value)
        case b"stream":
            for _, fields in client.xrange(key):
                for name, value in fields.items():
                    yield from (name, value)
        case b"none":
            pass  # expired just now
        case kind:
            raise AssertionError(f"a type that nobody looks into: {kind!r}")


def mongodb(url: str) -> Found:
    """Every document of every collection of every database as BSON; the oplog in `local` has what was changed since."""
    with pymongo.MongoClient[RawBSONDocument](url, document_class=RawBSONDocument) as client:
        for database in client.list_database_names():
            for name in client[database].list_collection_names():
                for batch in client[database][name].find_raw_batches():
                    yield f"mongodb {database}.{name}", batch


def metrics(info: RunInfo, token: str) -> Found:
    yield "metrics", _get(f"{info.url}/metrics", f"Bearer {token}")


def flower(info: RunInfo) -> Found:
    """What Flower shows of tasks and workers."""
    login = base64.b64encode(f"{info.flower.user}:{info.flower.password}".encode()).decode()
    for path in ("/api/tasks?limit=5000", "/api/workers", "/tasks"):
        yield f"flower {path}", _get(info.flower.url + path, f"Basic {login}")


def processes(info: RunInfo) -> Found:
    """Command lines and environments of the copy's processes, as any tool of the machine shows them."""
    for name, pid in info.pids.items():
        for part in ("cmdline", "environ"):
            yield f"{name} {part}", Path(f"/proc/{pid}/{part}").read_bytes()


def nameless_files(info: RunInfo) -> Found:
    """Files without a name that the copy's processes have open: temporary ones are unlinked when they are made."""
    for name, pid in info.pids.items():
        for member in members(leader(pid) or Leader(pid, 0)):
            for entry in Path(f"/proc/{member}/fd").iterdir():
                with suppress(OSError):  # closed meanwhile, or nothing that can be read
                    if str(entry.readlink()).endswith(" (deleted)") and entry.is_file():
                        yield f"{name} {entry.readlink()}", entry.read_bytes()


def _get(url: str, authorization: str) -> bytes:
    request = urllib.request.Request(url, headers={"Authorization": authorization})
    with urllib.request.urlopen(request, timeout=30) as answer:
        body: bytes = answer.read()
        return body


class ValkeyMonitor:
    """Every command that reaches Valkey between `with` and its end: what stood there only for a moment, and what was
    only published (Celery's events)."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname or "", address.port or 0), timeout=10)
        self._lines: list[bytes] = []
        self._thread = threading.Thread(target=self._read, name="valkey-monitor", daemon=True)

    def __enter__(self) -> ValkeyMonitor:
        self._socket.sendall(b"MONITOR\r\n")
        assert self._socket.recv(5) == b"+OK\r\n"
        self._socket.settimeout(None)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        with self._socket.makefile("rb") as lines:
            self._lines.extend(lines)

    def commands(self) -> Found:
        """The commands so far, with MONITOR's escapes undone."""
        lines = list(self._lines)
        for start in range(0, len(lines), 200):
            some = (codecs.escape_decode(line.rstrip(b"\r\n"))[0] for line in lines[start : start + 200])
            yield "valkey command", b"\n".join(some)
