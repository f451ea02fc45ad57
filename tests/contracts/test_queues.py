"""What publishing to a brand's queue must do; run over RabbitMQ and over SQS."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterator

import pytest

from app.queues.message import Published, QueueFailure, QueueMessage
from app.queues.publisher import Queues
from app.webhooks.address_guard import AddressGuard
from local.ports import LOOPBACK, free_port
from tests.contracts.brokers import OpenGuard, Queue, amqp_queue, message, rabbitmq, sqs, sqs_queue

__all__ = ["rabbitmq", "sqs"]  # fixtures

SECONDS = 20.0


@pytest.fixture(params=["rabbitmq", "rabbitmq quorum", "sqs", "sqs fifo"])
def queue(request: pytest.FixtureRequest) -> Queue:
    kind, _, variant = request.param.partition(" ")
    server = request.getfixturevalue(kind)
    if kind == "rabbitmq":
        return amqp_queue(server, variant or "classic")
    return sqs_queue(server, f".{variant}" if variant else "")


@pytest.fixture
def queues() -> Iterator[Queues]:
    queues = Queues(OpenGuard())
    yield queues
    queues.close()


def ids(messages: list[QueueMessage]) -> set[str]:
    return {one.id for one in messages}


def test_a_message_arrives_with_the_same_bytes_and_every_header(queue: Queue, queues: Queues) -> None:
    sent = message()
    assert queues.publish(queue.url, [sent], deadline_seconds=SECONDS) == Published(frozenset({sent.id}))
    (received,) = queue.read()
    assert received.id == sent.id
    assert received.body == sent.body
    assert received.headers == {
        "webhook-id": sent.id,
        "webhook-timestamp": "1767225605",
        "webhook-signature": sent.signature,
        "content-type": "application/json",
        "event-type": "message.bounced",
        "brand-id": "alder",
        "fallback-reason": "breaker_open",
    }


def test_a_message_of_the_event_queue_names_no_reason(queue: Queue, queues: Queues) -> None:
    queues.publish(queue.url, [message(reason="")], deadline_seconds=SECONDS)
    assert "fallback-reason" not in queue.read()[0].headers


def test_text_outside_ascii_arrives_as_it_is(queue: Queue, queues: Queues) -> None:
    sent = message(body='{"text":"Straße, 東京, 🎉"}'.encode())
    queues.publish(queue.url, [sent], deadline_seconds=SECONDS)
    assert queue.read()[0].body == sent.body


def test_everything_confirmed_is_in_the_queue_once(queue: Queue, queues: Queues) -> None:
    sent = [message(number) for number in range(25)]
    published = queues.publish(queue.url, sent, deadline_seconds=SECONDS)
    assert published == Published(frozenset(ids(sent)))
    assert sorted(one.id for one in queue.read()) == sorted(ids(sent))


def test_large_messages_all_arrive(queue: Queue, queues: Queues) -> None:
    sent = [message(number, body=b'"' + b"x" * 250_000 + b'"') for number in range(6)]
    assert queues.publish(queue.url, sent, deadline_seconds=SECONDS).confirmed == ids(sent)
    assert {(one.id, one.body) for one in queue.read()} == {(one.id, one.body) for one in sent}


def test_no_message_is_no_call(queue: Queue) -> None:
    closed = Queues(AddressGuard())  # which would answer `blocked_address`
    assert closed.publish(queue.url, [], deadline_seconds=SECONDS) == Published(frozenset())


def test_a_queue_that_does_not_exist_is_missing_and_confirms_nothing(queue: Queue, queues: Queues) -> None:
    published = queues.publish(queue.missing_url, [message(1), message(2)], deadline_seconds=SECONDS)
    assert (published.confirmed, published.failure) == (frozenset(), QueueFailure.MISSING)
    assert not published.refused, "it may be made"


def test_a_failure_does_not_spoil_the_next_call(queue: Queue, queues: Queues) -> None:
    queues.publish(queue.missing_url, [message()], deadline_seconds=SECONDS)
    assert queues.publish(queue.url, [message()], deadline_seconds=SECONDS).failure is None


def test_a_private_address_is_blocked_and_not_dialled(queue: Queue) -> None:
    published = Queues(AddressGuard()).publish(queue.url, [message()], deadline_seconds=SECONDS)
    assert (published.confirmed, published.failure) == (frozenset(), QueueFailure.BLOCKED_ADDRESS)
    assert queue.read() == []


def test_a_name_that_leads_to_a_private_address_is_blocked(queue: Queue) -> None:
    url = queue.url.replace(LOOPBACK, "localhost")
    assert Queues(AddressGuard()).publish(url, [message()], deadline_seconds=SECONDS).failure == "blocked_address"
    assert queue.read() == []


def test_a_name_is_dialled_at_its_allowed_address(queue: Queue, queues: Queues) -> None:
    url = queue.url.replace(LOOPBACK, "localhost")
    assert queues.publish(url, [message()], deadline_seconds=SECONDS).failure is None


def test_a_kept_connection_is_not_used_past_a_stricter_guard(queue: Queue) -> None:
    guard = OpenGuard()
    queues = Queues(guard)
    assert queues.publish(queue.url, [message()], deadline_seconds=SECONDS).failure is None
    guard.allows = lambda text: False  # type: ignore[method-assign]
    assert queues.publish(queue.url, [message()], deadline_seconds=SECONDS).failure == "blocked_address"


def test_a_broker_that_is_not_there_is_unavailable(queue: Queue, queues: Queues) -> None:
    url = re.sub(r":[0-9]+/", f":{free_port()}/", queue.url)
    published = queues.publish(url, [message()], deadline_seconds=SECONDS)
    assert (published.confirmed, published.failure) == (frozenset(), QueueFailure.UNAVAILABLE)


def test_a_broker_that_says_nothing_does_not_hold_the_caller(queue: Queue, queues: Queues) -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        url = re.sub(r":[0-9]+/", f":{silent.getsockname()[1]}/", queue.url)
        published = queues.publish(url, [message()], deadline_seconds=0.3)
    assert (published.confirmed, published.failure) == (frozenset(), QueueFailure.UNAVAILABLE)
    assert published.detail == "TimeoutError"


def test_neither_logs_nor_answers_quote_the_credentials(
    queue: Queue, queues: Queues, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = re.sub(r"//[^@]*@", "//hidden-user:hidden-password@", queue.url)
    answers = [
        queues.publish(url, [message()], deadline_seconds=SECONDS),
        queues.publish(re.sub(r":[0-9]+/", f":{free_port()}/", url), [message()], deadline_seconds=SECONDS),
        Queues(AddressGuard()).publish(url, [message()], deadline_seconds=SECONDS),
    ]
    assert "hidden-password" not in caplog.text + repr(answers) + repr(vars(queues))


def test_the_environments_proxy_is_ignored(queue: Queue, queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://{LOOPBACK}:{free_port()}")
    monkeypatch.setenv("AWS_PROFILE", "of-another")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{LOOPBACK}:{free_port()}")
    assert queues.publish(queue.url, [message()], deadline_seconds=SECONDS).failure is None
