"""The steady stream of `benchmarks.loads`: what it must not hide."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from benchmarks.loads import Stream

REQUEST = b"GET /c/x HTTP/1.1\r\nHost: t.example\r\n\r\n"
ANSWER = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"
LAST_ANSWER = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@contextmanager
def server(answer: Callable[[int], bytes]) -> Iterator[int]:
    """Answers one request after the other with `answer(number of the request)`, closes where that says so; yields the
    port."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        number = 0
        with selectors.DefaultSelector() as selector, contextlib.ExitStack() as connections:
            selector.register(connections.enter_context(listener), selectors.EVENT_READ)
            while not over.is_set():
                for key, _ in selector.select(0.05):
                    if key.fileobj is listener:
                        selector.register(connections.enter_context(listener.accept()[0]), selectors.EVENT_READ)
                        continue
                    said = b""
                    with contextlib.suppress(ConnectionError):  # the stream may end with requests under way
                        if key.fileobj.recv(4096):
                            said = answer(number)
                            key.fileobj.sendall(said)
                            number += 1
                    if not said or b"close" in said:
                        selector.unregister(key.fileobj)
                        key.fileobj.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        thread.join()


def test_a_stall_slows_every_request_that_was_due_in_it() -> None:
    def stall_once(number: int) -> bytes:
        if number == 50:
            time.sleep(0.3)
        return ANSWER

    with server(stall_once) as port:
        seen = Stream(port, [REQUEST], b"HTTP/1.1 302", connections=2).run(1000, 1, seed=1)
    # About 300 were due in those 0.3 s; a load that waits for answers would have seen two slow ones.
    assert sum(latency > 100 for latency in seen.sorted_ms) > 150


def test_every_request_is_answered_when_the_server_closes_connections() -> None:
    with server(lambda number: LAST_ANSWER if number % 10 == 9 else ANSWER) as port:
        seen = Stream(port, [REQUEST], b"HTTP/1.1 302", connections=4).run(500, 1, seed=1)
    assert 400 < len(seen.sorted_ms) < 600


def test_an_error_among_the_answers_ends_the_run() -> None:
    def fail_once(number: int) -> bytes:
        return b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n" if number == 20 else ANSWER

    with server(fail_once) as port, pytest.raises(SystemExit, match="502"):
        Stream(port, [REQUEST], b"HTTP/1.1 302", connections=4).run(500, 1, seed=1)
