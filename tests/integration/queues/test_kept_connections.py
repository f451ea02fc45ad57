"""Connections that rest between calls: few, young, and never shared with a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from app.queues import pool as pools
from app.queues.message import QueueFailure
from app.queues.pool import MAX_RESTING_PER_QUEUE
from app.queues.publisher import Queues
from local.rabbitmq import RabbitMq
from tests.contracts.brokers import Queue, amqp_queue, message
from tests.integration.queues.relay import Relay

SECONDS = 20.0


@pytest.fixture
def relay(rabbitmq: RabbitMq) -> Iterator[Relay]:
    with Relay(rabbitmq.port) as relay:
        yield relay


@pytest.fixture
def queue(rabbitmq: RabbitMq, relay: Relay) -> Queue:
    queue = amqp_queue(rabbitmq)
    return queue._replace(url=queue.url.replace(f":{rabbitmq.port}/", f":{relay.port}/"))


def publish_at_once(queues: Queues, url: str, threads: int) -> None:
    together = threading.Barrier(threads)
    failures = []

    def go(number: int) -> None:
        together.wait()
        failures.append(queues.publish(url, [message(number)], deadline_seconds=SECONDS).failure)

    running = [threading.Thread(target=go, args=(number,)) for number in range(threads)]
    for one in running:
        one.start()
    for one in running:
        one.join()
    assert failures == [None] * threads


def test_threads_publish_at_the_same_time_and_few_connections_stay(queues: Queues, queue: Queue, relay: Relay) -> None:
    publish_at_once(queues, queue.url, 8)
    assert len(queues._pool) <= MAX_RESTING_PER_QUEUE
    before = relay.connections
    queues.publish(queue.url, [message(99)], deadline_seconds=SECONDS)
    assert relay.connections == before
    assert len(queue.read()) == 9


def test_a_connection_that_has_rested_long_is_closed(
    queues: Queues, queue: Queue, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "MAX_REST_SECONDS", 0.1)
    queues.publish(queue.url, [message()], deadline_seconds=SECONDS)
    assert relay.ended.wait(SECONDS)
    assert len(queues._pool) == 0


def test_an_old_connection_is_not_used_again(
    queues: Queues, queue: Queue, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "MAX_AGE_SECONDS", 0.0)
    for number in range(2):
        assert queues.publish(queue.url, [message(number)], deadline_seconds=SECONDS).failure is None
    assert relay.connections == 2


def test_closing_closes_what_rests_and_publishing_still_works(queues: Queues, queue: Queue, relay: Relay) -> None:
    queues.publish(queue.url, [message(1)], deadline_seconds=SECONDS)
    queues.close()
    assert relay.ended.wait(SECONDS)
    assert queues.publish(queue.url, [message(2)], deadline_seconds=SECONDS).failure is None


def test_a_fork_dials_anew_and_leaves_the_parents_connection_alone(queues: Queues, queue: Queue, relay: Relay) -> None:
    assert queues.publish(queue.url, [message(1)], deadline_seconds=SECONDS).failure is None
    child = os.fork()
    if child == 0:
        # Whatever happens here must end here, and not as a second run of all tests.
        status = 1
        try:
            kept = len(queues._pool)
            published = queues.publish(
                queue.url.replace("127.0.0.1", "localhost"), [message(2)], deadline_seconds=SECONDS
            )
            queues.close()
            status = 0 if (kept, published.failure) == (0, None) else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert queues.publish(queue.url, [message(3)], deadline_seconds=SECONDS).failure is None
    assert relay.connections == 2
    assert [one.id for one in queue.read()] == [message(number).id for number in (1, 2, 3)]


def test_all_queues_together_keep_a_bounded_number(
    queues: Queues, rabbitmq: RabbitMq, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "MAX_RESTING", 5)
    base = rabbitmq.url.replace(f":{rabbitmq.port}/", f":{relay.port}/")
    urls = [f"{base}?exchange=amq.direct&routing_key={number}" for number in range(8)]
    for url in urls:
        assert queues.publish(url, [message()], deadline_seconds=SECONDS).failure is QueueFailure.MISSING
    assert (relay.connections, len(queues._pool)) == (8, 5)
    queues.publish(urls[-1], [message()], deadline_seconds=SECONDS)
    assert relay.connections == 8, "the youngest rests"
    queues.publish(urls[0], [message()], deadline_seconds=SECONDS)
    assert relay.connections == 9, "the oldest made room"
