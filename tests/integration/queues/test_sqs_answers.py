"""What SQS, or something in its place, may answer, and what it is taken for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.queues.message import Published, QueueFailure
from app.queues.publisher import Queues
from local.ports import LOOPBACK
from local.servers import Server
from tests.contracts.brokers import message, sqs_queue
from tests.integration.webhooks.raw_server import RawServer, Script, answer, drip, flood, raw, reset

SECONDS = 20.0


def publish(queues: Queues, server: RawServer, count: int = 1, seconds: float = SECONDS) -> Published:
    url = f"http://KEYID:hidden@{LOOPBACK}:{server.port}/123456789012/q?region=eu-west-1"
    return queues.publish(url, [message(number) for number in range(count)], deadline_seconds=seconds)


def says(content: Any, status: str = "200 OK") -> Script:
    return answer(status, "Content-Type: application/x-amz-json-1.0\r\n", json.dumps(content).encode())


def error(code: str, status: str = "400 Bad Request") -> Script:
    return says({"__type": f"com.amazonaws.sqs#{code}", "message": "about hidden"}, status)


def taken(*ids: int) -> dict[str, Any]:
    return {"Successful": [{"Id": str(one), "MessageId": "m", "MD5OfMessageBody": "0" * 32} for one in ids]}


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        (error("QueueDoesNotExist"), QueueFailure.MISSING),
        (error("InvalidClientTokenId", "403 Forbidden"), QueueFailure.DENIED),
        (error("SignatureDoesNotMatch", "403 Forbidden"), QueueFailure.DENIED),
        (error("UnrecognizedClientException"), QueueFailure.DENIED),
        (error("AccessDeniedException"), QueueFailure.DENIED),
        (error("ThrottlingException"), QueueFailure.UNAVAILABLE),
        (error("UnsupportedOperation"), QueueFailure.REFUSED),
        (error("InternalFailure", "500 Internal Server Error"), QueueFailure.UNAVAILABLE),
        (error("ServiceUnavailable", "503 Service Unavailable"), QueueFailure.UNAVAILABLE),
        (error("TooMany", "429 Too Many Requests"), QueueFailure.UNAVAILABLE),
        (answer("301 Moved", "Location: http://169.254.169.254/latest\r\n"), QueueFailure.UNAVAILABLE),
        (answer(body=b"<html>"), QueueFailure.UNAVAILABLE),
        (answer(body=b"[]"), QueueFailure.UNAVAILABLE),
        (says({"Successful": [{"Id": "77"}]}), QueueFailure.UNAVAILABLE),
        (says({"Successful": "all"}), QueueFailure.UNAVAILABLE),
        (says({"Failed": [{}]}), QueueFailure.UNAVAILABLE),
        (raw(b"SSH-2.0-OpenSSH\r\n"), QueueFailure.UNAVAILABLE),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{}"), QueueFailure.UNAVAILABLE),
        (flood(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", b"x" * 65_536, 100), QueueFailure.UNAVAILABLE),
        (flood(b"HTTP/1.1 200 OK\r\n", b"X-Long: " + b"x" * 65_536, 100), QueueFailure.UNAVAILABLE),
        (reset, QueueFailure.UNAVAILABLE),
    ],
)
def test_an_answer_is_taken_for_what_it_means(queues: Queues, script: Script, failure: QueueFailure) -> None:
    with RawServer(script) as server:
        published = publish(queues, server)
    assert (published.confirmed, published.failure) == (frozenset(), failure)
    assert "hidden" not in repr(published)
    assert len(server.requests) == 1, "neither repeated nor sent elsewhere"


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_a_dripping_answer_does_not_hold_the_caller(queues: Queues, first: bytes) -> None:
    with RawServer(drip(first, b"x")) as server:
        published = publish(queues, server, seconds=0.5)
    assert published == Published(frozenset(), QueueFailure.UNAVAILABLE, detail="TimeoutError")


def test_messages_that_fail_alone_are_told_apart(queues: Queues) -> None:
    failed = [
        {"Id": "1", "Code": "InvalidMessageContents", "SenderFault": True},
        {"Id": "2", "Code": "KmsAccessDenied", "SenderFault": True},
        {"Id": "3", "Code": "InternalError", "SenderFault": False},
    ]
    with RawServer(says({**taken(0), "Failed": failed}), says(taken(0, 1))) as server:
        published = publish(queues, server, 12)
    assert published.confirmed == {message(number).id for number in (0, 10, 11)}
    assert published.refused == {message(1).id}
    assert published.failure is QueueFailure.REFUSED


def test_what_an_earlier_batch_confirmed_stays_confirmed(queues: Queues) -> None:
    with RawServer(says(taken(*range(10))), error("InternalFailure", "500 Internal Server Error")) as server:
        published = publish(queues, server, 25)
    assert published.confirmed == {message(number).id for number in range(10)}
    assert published.failure is QueueFailure.UNAVAILABLE
    assert len(server.requests) == 2, "the third batch would have failed as well"


def test_a_connection_is_used_again(queues: Queues) -> None:
    with RawServer(says(taken(0))) as server:
        assert [publish(queues, server).failure for _ in range(3)] == [None] * 3
    assert (server.connections, len(server.requests)) == (1, 3)


def test_a_kept_connection_that_the_server_closed_is_replaced(queues: Queues) -> None:
    def once(server: RawServer, connection: Any, request: Any) -> None:
        if len(server.requests) == 2:
            reset(server, connection, request)
        else:
            says(taken(0))(server, connection, request)

    with RawServer(once) as server:
        assert [publish(queues, server).failure for _ in range(2)] == [None] * 2
    assert (server.connections, len(server.requests)) == (2, 3)


def test_the_secret_is_never_sent(queues: Queues) -> None:
    with RawServer(says(taken(0))) as server:
        publish(queues, server)
    (request,) = server.requests
    assert "KEYID" in request.headers["authorization"]
    assert "hidden" not in repr(request)


def test_a_message_that_is_too_large_is_refused_alone(sqs: Server, queues: Queues) -> None:
    queue = sqs_queue(sqs)
    sent = [message(1), message(2, body=b"x" * 262_144), message(3)]
    published = queues.publish(queue.url, sent, deadline_seconds=SECONDS)
    assert published.confirmed == {message(1).id, message(3).id}
    assert (published.failure, published.refused) == (QueueFailure.REFUSED, {message(2).id})


def test_a_fifo_queue_takes_an_id_once_and_keeps_the_order_of_a_message(sqs: Server, queues: Queues) -> None:
    queue = sqs_queue(sqs, ".fifo")
    sent = [message(number, group="msg_1") for number in range(12)]
    for _ in range(2):
        assert queues.publish(queue.url, sent, deadline_seconds=SECONDS).failure is None
    assert [one.id for one in queue.read()] == [one.id for one in sent]
