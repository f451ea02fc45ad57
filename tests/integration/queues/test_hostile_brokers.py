"""Servers that were given to us as brokers and are none, or worse."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from app.queues.message import Published, QueueFailure
from app.queues.publisher import Queues
from local.ports import LOOPBACK
from tests.contracts.brokers import message

Play = Callable[[socket.socket], None]
Serve = Callable[[Play], int]

SECONDS = 20.0
SHORT = 0.5
"""For what ends with the deadline."""


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Play this on the first connection to the port that is given back."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(play: Play) -> int:
        listener = socket.create_server((LOOPBACK, 0))
        listeners.append(listener)

        def accept() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    play(connection)

        threads.append(threading.Thread(target=accept, daemon=True))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(10)


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def method(class_id: int, method_id: int, arguments: bytes = b"", channel: int = 0) -> bytes:
    return frame(1, channel, struct.pack(">HH", class_id, method_id) + arguments)


HEARTBEAT = frame(8, 0, b"")
START = method(
    10, 10, b"\x00\x09" + struct.pack(">I", 0) + struct.pack(">I", 5) + b"PLAIN" + struct.pack(">I", 5) + b"en_US"
)


def tune(frame_max: int) -> bytes:
    return method(10, 30, struct.pack(">HIH", 10, frame_max, 0))


def logged_in(connection: socket.socket, frame_max: int = 131_072) -> None:
    """Everything until messages come."""
    connection.recv(8)
    connection.sendall(START)
    connection.recv(4096)
    connection.sendall(tune(frame_max))
    connection.recv(4096)
    connection.sendall(method(10, 41, b"\x00"))  # open-ok
    connection.recv(4096)
    connection.sendall(method(20, 11, struct.pack(">I", 0), channel=1))  # channel.open-ok
    connection.recv(4096)
    connection.sendall(method(85, 11, channel=1))  # confirm.select-ok


def drip(first: bytes, piece: bytes = b"\x01") -> Play:
    def play(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            time.sleep(0.02)
            connection.sendall(piece)

    return play


def flood(first: bytes, piece: bytes) -> Play:
    def play(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(piece)

    return play


def publish(queues: Queues, port: int, seconds: float = SECONDS) -> Published:
    url = f"amqp://user:hidden@{LOOPBACK}:{port}/?queue=q"
    return queues.publish(url, [message(1), message(2)], deadline_seconds=seconds)


@pytest.mark.parametrize("play", [drip(b"", HEARTBEAT), drip(struct.pack(">BHI", 1, 0, 100_000))])
def test_a_dripping_broker_does_not_hold_the_caller(serve: Serve, queues: Queues, play: Play) -> None:
    published = publish(queues, serve(play), SHORT)
    assert published == Published(frozenset(), QueueFailure.UNAVAILABLE, detail="TimeoutError")


@pytest.mark.parametrize(
    ("play", "detail"),
    [
        (flood(struct.pack(">BHI", 1, 0, 0x7FFFFFFF), b"x" * 65_536), "UnexpectedFrame"),
        (flood(b"", HEARTBEAT), "OSError"),  # more bytes than a broker may send
        (flood(struct.pack(">BHI", 1, 0, 100) + b"x" * 101, b"x"), "UnexpectedFrame"),
        (lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "UnexpectedFrame"),
        (lambda connection: connection.sendall(b"AMQP\x00\x01\x00\x00"), None),
        (lambda connection: connection.sendall(method(10, 10, b"\x00\x09\xff\xff\xff\xff")), None),
        (lambda connection: connection.sendall(method(99, 99)), "AMQPNotImplementedError"),
        (lambda connection: connection.sendall(method(20, 11, channel=77)), None),
        (lambda connection: None, None),
    ],
)
def test_nonsense_is_an_unavailable_queue_and_no_exception(
    serve: Serve, queues: Queues, play: Play, detail: str | None
) -> None:
    published = publish(queues, serve(play))
    assert (published.confirmed, published.failure) == (frozenset(), QueueFailure.UNAVAILABLE)
    assert detail in (None, published.detail)


def test_a_broker_that_logs_us_in_and_then_drips_confirms_nothing(serve: Serve, queues: Queues) -> None:
    def play(connection: socket.socket) -> None:
        logged_in(connection)
        drip(b"", HEARTBEAT)(connection)

    published = publish(queues, serve(play), SHORT)
    assert published == Published(frozenset(), QueueFailure.UNAVAILABLE, detail="TimeoutError")


def test_a_broker_that_stops_reading_does_not_hold_the_caller(serve: Serve, queues: Queues) -> None:
    done = threading.Event()

    def play(connection: socket.socket) -> None:
        logged_in(connection)
        done.wait(30)

    url = f"amqp://user:hidden@{LOOPBACK}:{serve(play)}/?queue=q"
    many = [message(number, body=b"x" * 250_000) for number in range(40)]
    published = queues.publish(url, many, deadline_seconds=SHORT)
    done.set()
    assert published == Published(frozenset(), QueueFailure.UNAVAILABLE, detail="TimeoutError")


@pytest.mark.parametrize("frame_max", [1, 9, 0x7FFFFFFF])
def test_the_frame_size_a_broker_asks_for_is_kept_within_reason(serve: Serve, queues: Queues, frame_max: int) -> None:
    def play(connection: socket.socket) -> None:
        logged_in(connection, frame_max)
        connection.recv(65_536)
        connection.sendall(method(60, 80, struct.pack(">QB", 2, 1), channel=1))  # ack of both
        connection.recv(65_536)

    published = publish(queues, serve(play))
    assert published.confirmed == {message(1).id, message(2).id}


def test_an_acknowledgement_of_what_was_never_sent_is_nonsense(serve: Serve, queues: Queues) -> None:
    def play(connection: socket.socket) -> None:
        logged_in(connection)
        connection.recv(65_536)
        connection.sendall(method(60, 80, struct.pack(">QB", 1, 0), channel=1))
        connection.sendall(method(60, 80, struct.pack(">QB", 99, 0), channel=1))
        connection.recv(65_536)

    published = publish(queues, serve(play))
    assert (published.confirmed, published.failure) == ({message(1).id}, QueueFailure.UNAVAILABLE)


def test_what_a_broker_says_as_it_closes_is_not_repeated(serve: Serve, queues: Queues) -> None:
    def play(connection: socket.socket) -> None:
        connection.recv(8)
        text = b"you said hidden"
        connection.sendall(method(10, 50, struct.pack(">HB", 403, len(text)) + text + b"\x00\x00\x00\x00"))
        connection.recv(4096)

    assert publish(queues, serve(play)) == Published(frozenset(), QueueFailure.DENIED, detail="AccessRefused")
