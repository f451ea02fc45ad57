"""What a real RabbitMQ says no to, and what is left when it dies."""

from __future__ import annotations

import ssl
import threading

from app.queues.message import Published, QueueFailure
from app.queues.publisher import Queues
from local.rabbitmq import USER, RabbitMq
from tests.contracts.brokers import TLS_HOST, OpenGuard, Queue, amqp_queue, connect, message
from tests.integration.queues.relay import Relay

SECONDS = 20.0


def through(relay: Relay, broker: RabbitMq, url: str) -> str:
    return url.replace(f":{broker.port}/", f":{relay.port}/")


def test_wrong_credentials_are_denied(rabbitmq: RabbitMq, queues: Queues) -> None:
    url = amqp_queue(rabbitmq).url.replace(rabbitmq.password, "wrong")
    published = queues.publish(url, [message()], deadline_seconds=SECONDS)
    assert published == Published(frozenset(), QueueFailure.DENIED, detail="AccessRefused")


def test_a_virtual_host_that_is_not_there_is_denied(rabbitmq: RabbitMq, queues: Queues) -> None:
    url = amqp_queue(rabbitmq).url.replace("%2F", "nowhere")
    assert queues.publish(url, [message()], deadline_seconds=SECONDS).failure is QueueFailure.DENIED


def test_an_exchange_that_is_not_there_is_missing(rabbitmq: RabbitMq, queues: Queues) -> None:
    url = f"{rabbitmq.url}?exchange=nowhere"
    assert queues.publish(url, [message()], deadline_seconds=SECONDS).failure is QueueFailure.MISSING


def test_an_exchange_confirms_what_it_can_route_and_names_what_it_cannot(rabbitmq: RabbitMq, queues: Queues) -> None:
    """Without a routing key in the URL, the event type is the key."""
    queue = amqp_queue(rabbitmq)
    with connect(rabbitmq) as connection:
        connection.channel().queue_bind(queue.url.partition("?queue=")[2], "amq.topic", "message.clicked")
    sent = [message(number, event_type=("message.opened", "message.clicked")[number % 2]) for number in range(6)]
    published = queues.publish(f"{rabbitmq.url}?exchange=amq.topic", sent, deadline_seconds=SECONDS)
    clicked = {one.id for one in sent if one.event_type == "message.clicked"}
    assert published == Published(frozenset(clicked), QueueFailure.MISSING)
    assert {one.id for one in queue.read()} == clicked


def test_a_full_queue_refuses_and_confirms_what_it_took(rabbitmq: RabbitMq, queues: Queues) -> None:
    queue = amqp_queue(rabbitmq, x_max_length=2, x_overflow="reject-publish")
    published = queues.publish(queue.url, [message(number) for number in range(10)], deadline_seconds=SECONDS)
    assert published.failure is QueueFailure.REFUSED
    assert not published.refused, "it may have room later"
    assert published.confirmed == {one.id for one in queue.read()} != set()


def test_more_than_one_window_is_confirmed(rabbitmq: RabbitMq, queues: Queues) -> None:
    queue = amqp_queue(rabbitmq)
    sent = [message(number) for number in range(650)]
    assert queues.publish(queue.url, sent, deadline_seconds=SECONDS).confirmed == {one.id for one in sent}
    assert [one.id for one in queue.read()] == [one.id for one in sent], "in the order they were given"


def test_a_broker_without_memory_is_unavailable_at_once_and_takes_messages_again_later(
    rabbitmq: RabbitMq, queues: Queues
) -> None:
    queue = amqp_queue(rabbitmq)
    rabbitmq.control("set_vm_memory_high_watermark", "0.00001")
    try:
        published = queues.publish(queue.url, [message(1)], deadline_seconds=SECONDS)
    finally:
        rabbitmq.control("set_vm_memory_high_watermark", "0.4")
    assert published == Published(frozenset(), QueueFailure.UNAVAILABLE, detail="connection.blocked")
    assert queues.publish(queue.url, [message(2)], deadline_seconds=SECONDS).failure is None


def test_a_broker_that_stops_confirming_confirms_nothing_after_the_deadline(rabbitmq: RabbitMq, queues: Queues) -> None:
    queue = amqp_queue(rabbitmq)
    with Relay(rabbitmq.port) as relay:
        url = through(relay, rabbitmq, queue.url)
        assert queues.publish(url, [message(1)], deadline_seconds=SECONDS).failure is None
        relay.muted = True
        published = queues.publish(url, [message(2)], deadline_seconds=0.3)
    assert published == Published(frozenset(), QueueFailure.UNAVAILABLE, detail="TimeoutError")
    assert queue.read()[0].id == message(1).id


def test_a_connection_is_used_again_and_replaced_when_it_was_cut(rabbitmq: RabbitMq, queues: Queues) -> None:
    queue = amqp_queue(rabbitmq)
    with Relay(rabbitmq.port) as relay:
        url = through(relay, rabbitmq, queue.url)
        for number in range(3):
            assert queues.publish(url, [message(number)], deadline_seconds=SECONDS).failure is None
        assert relay.connections == 1
        relay.cut()
        assert queues.publish(url, [message(3)], deadline_seconds=SECONDS).failure is None
        assert relay.connections == 2
    assert [one.id for one in queue.read()] == [message(number).id for number in range(4)]


def test_tls_is_verified_against_the_hosts_name(rabbitmq: RabbitMq) -> None:
    queue = amqp_queue(rabbitmq)
    trusting = ssl.create_default_context(cafile=str(rabbitmq.folder / "chain.pem"))
    url = queue.url.replace("amqp://", "amqps://").replace(str(rabbitmq.port), str(rabbitmq.tls_port))
    by_name = url.replace("127.0.0.1", TLS_HOST)
    answers = [
        Queues(OpenGuard(), tls=tls).publish(one, [message()], deadline_seconds=SECONDS)
        for tls, one in ((trusting, by_name), (trusting, url), (None, by_name))
    ]
    assert [one.failure for one in answers] == [None, QueueFailure.UNAVAILABLE, QueueFailure.UNAVAILABLE]
    assert [one.detail for one in answers] == ["", "SSLCertVerificationError", "SSLCertVerificationError"]
    assert len(queue.read()) == 1


class Publishing(threading.Thread):
    """Publishes batches of a hundred, one after the other, until one is not confirmed as a whole."""

    def __init__(self, queues: Queues, queue: Queue) -> None:
        super().__init__(daemon=True)
        self.answers: list[Published] = []
        self.confirmed: set[str] = set()
        self.begun = threading.Event()
        self._queues = queues
        self._url = queue.url

    def run(self) -> None:
        while not self.answers or self.answers[-1].failure is None:
            first = 100 * len(self.answers)
            batch = [message(number) for number in range(first, first + 100)]
            self.answers.append(self._queues.publish(self._url, batch, deadline_seconds=SECONDS))
            self.confirmed |= self.answers[-1].confirmed
            self.begun.set()


def test_what_was_confirmed_before_a_kill_is_there_and_what_was_not_is_said_not_to_be(
    rabbitmq: RabbitMq, queues: Queues
) -> None:
    queue = amqp_queue(rabbitmq)
    run = Publishing(queues, queue)
    run.start()
    assert run.begun.wait(SECONDS)
    rabbitmq.kill()
    run.join(2 * SECONDS)
    assert run.answers[-1].failure is QueueFailure.UNAVAILABLE
    assert len(run.answers[-1].confirmed) < 100
    rabbitmq.start_again()
    assert queues.publish(queue.url, [message(999_999)], deadline_seconds=SECONDS).failure is None
    assert run.confirmed <= {one.id for one in queue.read()}


def test_a_user_that_may_only_publish_is_enough(rabbitmq: RabbitMq, queues: Queues) -> None:
    queue = amqp_queue(rabbitmq)
    rabbitmq.control("add_user", "s'p:e@c/ial", "p%4:0@/?#&")
    rabbitmq.control("set_permissions", "s'p:e@c/ial", "", r"^amq\.default$", "")
    url = queue.url.replace(f"{USER}:{rabbitmq.password}", "s%27p%3Ae%40c%2Fial:p%254%3A0%40%2F%3F%23%26")
    assert queues.publish(url, [message()], deadline_seconds=SECONDS).failure is None
