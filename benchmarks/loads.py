"""Two kinds of load for `benchmarks.front`: as much as the server can take (wrk), and a steady stream (our own).

wrk keeps a fixed number of requests under way, which is right for throughput and wrong for latency: a server that
stalls is asked less. The stream keeps to its timetable instead and measures from the moment a request was due.
"""

from __future__ import annotations

import gc
import itertools
import json
import random
import select
import shutil
import socket
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.ports import LOOPBACK

_SCRIPT = Path(__file__).with_name("wrk.lua")
_STREAM_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Flood:
    """What wrk saw in one round."""

    answers: int
    """Complete answers, whatever their status."""
    seconds: float
    p99_ms: float
    """With every connection always busy, so mostly time spent waiting in line."""

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds


@dataclass(frozen=True, slots=True)
class Latencies:
    """Of every request of a stream."""

    rate: float
    """Requests per second that were due."""
    sorted_ms: list[float]
    late_p99_ms: float
    """How late the generator itself was, with a connection free: the part of the latency that is not the server's."""
    due: list[float] = field(default_factory=list, repr=False)
    """When each request was due, in the order of the requests, on time.monotonic()'s clock."""

    def quantile(self, share: float) -> float:
        return _quantile(self.sorted_ms, share)


def find_wrk() -> str:
    """The program wrk.

    Raises:
        SystemExit: it is not installed; says how to get it.
    """
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("This benchmark needs the load generator wrk. Debian and Ubuntu: apt-get install wrk")
    return found


def flood(port: int, requests: Path, seconds: int, connections: int) -> Flood:
    """Ask as fast as answers come.

    Args:
        requests: whole requests, a NUL behind each; played in a circle.

    Raises:
        SystemExit: an answer was neither 2xx nor 3xx, or a connection broke: such a round measures nothing.
    """
    finished = subprocess.run(
        [
            *(find_wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s", "-s", str(_SCRIPT)),
            *(f"http://{LOOPBACK}:{port}/", "--", str(requests)),
        ],
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        check=False,
    )
    if finished.returncode:
        raise SystemExit(f"wrk failed: {finished.stderr or finished.stdout}")
    seen = json.loads(finished.stdout.splitlines()[-1])
    if seen["refused"] or seen["broken"]:
        raise SystemExit(f"{seen['refused']} answers were errors and {seen['broken']} connections broke")
    return Flood(seen["answers"], seen["seconds"], seen["p99_ms"])


class Stream:
    """Requests at a mean rate with random gaps (a Poisson process: people do not click in step).

    Latency counts from the moment a request was due, so a stalled server, or no free connection, makes every request
    that had to wait slow ("coordinated omission" is what the opposite is called).

    Args:
        requests: whole requests without a body, taken in turn.
        expected: how every answer must begin, such as `HTTP/1.1 302`.
        connections: kept alive; opened anew when the server closes one.
    """

    def __init__(self, port: int, requests: Sequence[bytes], expected: bytes, connections: int) -> None:
        self._port = port
        self._requests = itertools.cycle(requests)
        self._expected = expected
        self._connections = connections
        self._poll = select.epoll()
        self._open: dict[int, socket.socket] = {}
        self._free: deque[int] = deque()
        self._free_since = 0.0
        self._due: dict[int, float] = {}
        self._partial: dict[int, bytes] = {}
        self._closing: set[int] = set()
        self._latencies: list[float] = []
        self._late: list[float] = []
        self._started = 0.0

    def run(self, rate: float, seconds: int, seed: int) -> Latencies:
        """Play the stream; once per object.

        Raises:
            SystemExit: a wrong or missing answer.
        """
        timetable = _timetable(rate, seconds, seed)
        for _ in range(self._connections):
            self._connect()
        gc.collect()
        gc.disable()  # a collection would look like a slow server
        try:
            self._play(timetable)
        finally:
            gc.enable()
            for connection in self._open.values():
                connection.close()
            self._poll.close()
        due = [self._started + moment for moment in timetable]
        return Latencies(rate, sorted(self._latencies), _quantile(sorted(self._late), 0.99), due)

    def _play(self, timetable: list[float]) -> None:
        clock = time.monotonic
        start = self._started = clock()
        due = deque(start + moment for moment in timetable)
        deadline = due[-1] + _STREAM_GRACE_SECONDS
        self._send_due(due, start)
        while due or self._due:
            wait = due[0] - clock() if due and self._free else 1.0
            # epoll waits in whole milliseconds; select, asked about the epoll, in microseconds.
            select.select((self._poll.fileno(),), (), (), max(0.0, wait))
            for descriptor, _ in self._poll.poll(0):
                if self._receive(descriptor):
                    self._latencies.append((clock() - self._due.pop(descriptor)) * 1000)
                    self._recycle(descriptor)
                # In between, not after a heap of answers: what is due must not wait for this program.
                self._send_due(due, clock())
            self._send_due(due, clock())
            if clock() > deadline:
                raise SystemExit(f"{len(timetable) - len(self._latencies)} requests were not answered in time")

    def _send_due(self, due: deque[float], now: float) -> None:
        while due and self._free and due[0] <= now:
            self._send(due.popleft())

    def _send(self, due: float) -> None:
        descriptor = self._free.popleft()
        self._due[descriptor] = due
        self._late.append((time.monotonic() - max(due, self._free_since)) * 1000)
        self._open[descriptor].send(next(self._requests))

    def _receive(self, descriptor: int) -> bool:
        """Whether the answer is complete."""
        piece = self._open[descriptor].recv(65536)
        answer = self._partial.pop(descriptor, b"") + piece
        head, found, body = answer.partition(b"\r\n\r\n")
        if not piece or not answer.startswith(self._expected[: len(answer)]):
            raise SystemExit(f"a wrong answer in the stream: {answer[:60]!r}")
        length = 0 if not found else int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0])
        if not found or len(body) < length:
            self._partial[descriptor] = answer
            return False
        if b"Connection: close" in head:
            self._closing.add(descriptor)
        return True

    def _recycle(self, descriptor: int) -> None:
        if descriptor in self._closing:
            self._closing.remove(descriptor)
            self._poll.unregister(descriptor)
            self._open.pop(descriptor).close()
            self._connect()
        else:
            self._offer(descriptor)

    def _connect(self) -> None:
        connection = socket.create_connection((LOOPBACK, self._port), timeout=5)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        descriptor = connection.fileno()
        self._open[descriptor] = connection
        self._poll.register(descriptor, select.EPOLLIN)
        self._offer(descriptor)

    def _offer(self, descriptor: int) -> None:
        if not self._free:
            self._free_since = time.monotonic()
        self._free.append(descriptor)


def _timetable(rate: float, seconds: int, seed: int) -> list[float]:
    """Moments, in seconds from the start."""
    chance = random.Random(seed)
    moments = [0.0]
    while moments[-1] < seconds:
        moments.append(moments[-1] + chance.expovariate(rate))
    return moments[:-1]


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[int(len(ordered) * share)] if ordered else 0.0
