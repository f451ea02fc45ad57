"""One POST against servers that misbehave (webhooks.md, "Outbound transport" and "Timeouts and limits")."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import threading

import pytest

from app.webhooks import address_guard
from app.webhooks.http_answer import MAX_BODY_BYTES, MAX_KEPT_BYTES
from app.webhooks.transport import Sender
from tests.integration.webhooks.posting import LOOPBACK, black_hole, make_delivery, make_endpoint, post, post_to_each
from tests.integration.webhooks.raw_server import (
    RawServer,
    Request,
    answer,
    drip,
    flood,
    raw,
    reset,
    silence,
    wait_until,
)

DEADLINE = 0.6
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MANY = 100_000


def test_the_deadline_holds_over_everything() -> None:
    sent = post_to_each(
        {
            "never answers": silence,
            "header drip": drip(HEAD + b"X-Slow: ", b"a"),
            "headers without end": drip(HEAD, b"X-Slow: a\r\n"),
            "endless 100": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            "endless 103": drip(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.001),
            "103 as fast as it goes": flood(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 500, MANY),
            "chunked drip": drip(CHUNKED, b"1\r\na\r\n"),
            "a chunk size that drips": drip(CHUNKED, b"0"),
            "body drip": drip(HEAD + b"Content-Length: 100000\r\n\r\n", b"a"),
            "no length and no end": drip(HEAD + b"\r\n", b"a"),
            "reads and says nothing after the headers": drip(HEAD + b"Content-Length: 5\r\n\r\n", b"", 60),
        },
        deadline=DEADLINE,
    )
    assert {name: one.attempt.outcome for name, one in sent.items()} == dict.fromkeys(sent, "timeout")


def test_broken_http_is_a_protocol_failure() -> None:
    sent = post_to_each(
        {
            "one header of 1 MB": raw(HEAD + b"X-Big: " + b"a" * 1_000_000 + b"\r\n\r\n"),
            "1000 headers of 1 KB": raw(HEAD + b"".join(b"X-%d: %1000d\r\n" % (n, n) for n in range(1000)) + b"\r\n"),
            "40 KB of headers": raw(HEAD + b"".join(b"X-%d: %4000d\r\n" % (n, n) for n in range(10)) + b"\r\n"),
            "headers without end": flood(HEAD, b"X-Fast: a\r\n" * 1000, MANY),
            "malformed status line": raw(b"HTTP/1.1 two hundred OK\r\n\r\n"),
            "HTTP/0.9": raw(b"<html>hello</html>\r\n\r\n"),
            "HTTP/2": raw(b"\0\0\x12\x04\0\0\0\0\0"),
            "NUL in a header": raw(HEAD + b"X-Nul: a\x00b\r\nContent-Length: 0\r\n\r\n"),
            "TLS on a plain port": raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
            "another protocol": raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
            "garbage": raw(os.urandom(100_000)),
        },
        deadline=20.0,
    )
    assert {name: one.attempt.outcome for name, one in sent.items()} == dict.fromkeys(sent, "protocol")
    assert not any(one.attempt.response for one in sent.values())


def test_a_2xx_is_delivered_whatever_becomes_of_its_body() -> None:
    total = 10 * 1024 * 1024
    sent = post_to_each(
        {
            "10 MB": flood(HEAD + b"Content-Length: %d\r\n\r\n" % total, b"x" * 65536, total // 65536),
            "chunked without end": flood(CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n", MANY),
            "without length or end": flood(HEAD + b"\r\n", b"x" * 65536, MANY),
            "a gzip bomb": flood(HEAD + b"Content-Encoding: gzip\r\n\r\n", b"\x1f\x8b" + b"\0" * 65534, MANY),
            "breaks off": raw(HEAD + b"Content-Length: 50\r\n\r\nhalf"),
            "a broken chunk": raw(CHUNKED + b"zz\r\n"),
        },
        deadline=20.0,
    )
    assert {name: one.attempt.outcome for name, one in sent.items()} == dict.fromkeys(sent, "delivered")
    assert {name: len(one.attempt.response) for name, one in sent.items()} == {
        "10 MB": MAX_KEPT_BYTES,
        "chunked without end": MAX_KEPT_BYTES,
        "without length or end": MAX_KEPT_BYTES,
        "a gzip bomb": 0,
        "breaks off": 4,
        "a broken chunk": 0,
    }


def test_a_large_answer_is_left_where_it_is_and_memory_stays_flat() -> None:
    piece = b"x" * 65536
    with RawServer(flood(HEAD + b"Content-Length: 1000000000\r\n\r\n", piece, 1_000_000_000 // len(piece))) as server:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert [one.attempt.outcome for one in post(server.url, times=10)] == ["delivered"] * 10
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024  # KiB
        # What the kernel's two buffers hold is on its way already; the rest is never taken from the server.
        assert server.flooded < 10 * (MAX_BODY_BYTES + 16 * 1024 * 1024)
        assert server.connections == 10


def test_a_server_that_ends_the_connection_instead_of_answering_is_a_reset() -> None:
    sent = post_to_each(
        {"RST": reset, "FIN": raw(b""), "half a header": raw(HEAD + b"X-Cut: ")},
        deadline=20.0,
    )
    assert {name: one.attempt.outcome for name, one in sent.items()} == dict.fromkeys(sent, "reset")


def test_after_a_reset_the_same_delivery_goes_out_again_with_the_same_id_and_bytes() -> None:
    delivery = make_delivery()

    async def run(url: str) -> list[str]:
        async with Sender(LOOPBACK, allow_http=True) as sender:
            return [(await sender.send(make_endpoint(url), delivery)).attempt.outcome for _ in range(2)]

    with RawServer(reset, answer()) as server:
        assert asyncio.run(run(server.url)) == ["reset", "delivered"]
        first, second = server.requests
        assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)


def reset_the_second(server: RawServer, connection: socket.socket, request: Request) -> None:
    (reset if len(server.requests) == 2 else answer())(server, connection, request)


def test_a_connection_that_died_idle_is_replaced_without_an_attempt() -> None:
    with RawServer(reset_the_second) as server:
        assert [sent.attempt.outcome for sent in post(server.url, times=2)] == ["delivered", "delivered"]
        assert (server.connections, len(server.requests)) == (2, 3)
        assert server.requests[1].headers["webhook-id"] == server.requests[2].headers["webhook-id"]


def test_a_server_that_resets_everything_but_first_requests_gets_each_twice_at_most() -> None:
    with RawServer(answer(), reset) as server:
        assert [sent.attempt.outcome for sent in post(server.url, times=2)] == ["delivered", "reset"]
        assert (server.connections, len(server.requests)) == (2, 3)


def test_a_connection_closed_after_its_answer_is_not_used_again() -> None:
    with RawServer(raw(HEAD + b"Content-Length: 2\r\n\r\nok")) as server:
        assert [sent.attempt.outcome for sent in post(server.url, times=3)] == ["delivered"] * 3
        assert server.connections == 3


def test_a_half_answer_on_a_used_connection_is_a_reset_and_not_sent_again() -> None:
    with RawServer(answer(), raw(HEAD + b"X-Cut: ")) as server:
        assert [sent.attempt.outcome for sent in post(server.url, times=2)] == ["delivered", "reset"]
        assert len(server.requests) == 2


def test_an_answer_nobody_asked_for_answers_nothing() -> None:
    """A server that sends two answers to one request would have its next failure pass for a success."""
    twice = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 2)
    with RawServer(twice, answer("500 No")) as server:
        assert [sent.attempt.outcome for sent in post(server.url, times=2)] == ["delivered", "http_500"]
        assert server.connections == 2


def test_a_server_that_answers_before_it_has_read_is_heard_and_left() -> None:
    """413 to a large batch, as most servers send it: the rest of the body is not waited for."""
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        done.wait(10)
        connection.close()

    async def run(port: int) -> str:
        endpoint, delivery = make_endpoint(f"http://127.0.0.1:{port}/"), make_delivery(b" " * 20_000_000)
        async with Sender(LOOPBACK, allow_http=True) as sender:
            return (await sender.send(endpoint, delivery)).attempt.outcome

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            assert asyncio.run(run(listener.getsockname()[1])) == "http_413"
        finally:
            done.set()
            thread.join()


def test_a_port_that_swallows_packets_is_a_connect_failure() -> None:
    with black_hole() as port:
        assert post(f"http://127.0.0.1:{port}/", connect_seconds=0.3)[0].attempt.outcome == "connect"


def test_a_server_that_never_speaks_tls_is_a_connect_failure() -> None:
    with RawServer(silence) as server:
        attempt = post(server.url.replace("http:", "https:"), connect_seconds=0.3)[0].attempt
        assert attempt.outcome == "connect"
        assert not any(request.line.startswith("POST") for request in server.requests)


def test_an_address_that_swallows_packets_leaves_time_for_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(answer()) as server, black_hole("127.0.0.2", server.port):
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", server.port)) for n in (2, 1)]
        monkeypatch.setattr(address_guard, "_look_up", lambda *_: found)
        sent = post(f"http://hooks.harbour.example:{server.port}/", connect_seconds=1.2)
        assert sent[0].attempt.outcome == "delivered"


def test_a_refused_connection_is_a_connect_failure() -> None:
    with RawServer(answer()) as server:
        url = server.url
    assert post(url)[0].attempt.outcome == "connect"


def test_a_name_that_does_not_exist_is_a_dns_failure_also_for_all_who_wait_for_it() -> None:
    async def run() -> set[str]:
        endpoint = make_endpoint("https://nothing-here.invalid/hook")
        async with Sender(LOOPBACK, max_in_flight=16) as sender:
            sent = await asyncio.gather(*(sender.send(endpoint, make_delivery()) for _ in range(16)))
        return {one.attempt.outcome for one in sent}

    assert asyncio.run(run()) == {"dns"}


def test_a_cancelled_attempt_leaves_nothing_open() -> None:
    async def run(server: RawServer) -> None:
        async with Sender(LOOPBACK, allow_http=True) as sender:
            task = asyncio.create_task(sender.send(make_endpoint(server.url), make_delivery()))
            await asyncio.to_thread(wait_until, lambda: bool(server.requests))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with RawServer(closed_by_the_other_side) as server:
        asyncio.run(run(server))
        wait_until(server.closing.is_set)


def closed_by_the_other_side(server: RawServer, connection: socket.socket, request: Request) -> None:
    if connection.recv(1) == b"":
        server.closing.set()


def test_never_more_connections_than_in_flight() -> None:
    release = threading.Event()

    def wait(server: RawServer, connection: socket.socket, request: Request) -> None:
        release.wait(10)
        answer()(server, connection, request)

    async def run(server: RawServer) -> list[str]:
        async with Sender(LOOPBACK, allow_http=True, max_in_flight=2) as sender:
            tasks = [asyncio.create_task(sender.send(make_endpoint(server.url), make_delivery())) for _ in range(6)]
            await asyncio.to_thread(wait_until, lambda: len(server.requests) == 2)
            assert server.connections == 2
            release.set()
            return [(await task).attempt.outcome for task in tasks]

    with RawServer(wait) as server:
        assert asyncio.run(run(server)) == ["delivered"] * 6
        assert server.connections == 2
