"""RabbitMQ and the endpoints are down together for a while, and then back: every event arrives with its first bytes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from app.lib import clock
from app.models.delivery import DeliveryState
from app.models.replay import RECOVERED_STATES
from local.ports import free_port
from local.rabbitmq import RabbitMq
from tests.contracts.brokers import Queue, amqp_queue, rabbitmq
from tests.end_to_end.client import eventually
from tests.end_to_end.webhook_world import WebhookWorld, endpoint, programs, webhook_world
from tests.integration.webhooks.raw_server import RawServer, answer

__all__ = ["rabbitmq"]  # a fixture

FACTOR = "0.02"
DELAYS = [25 * 2**number for number in range(10)]
"""Half a second, one, two, …: however long a machine takes to start a broker, nobody runs out of attempts."""
ENDPOINTS = {
    "plain": {"delays": DELAYS},
    "batched": {"delays": DELAYS, "batching": {"max_events": 10, "max_wait_seconds": 1}},
    "fallback": {"transport": "http_then_queue", "queue": "file:queue-url", "fallback_attempts": 2, "delays": DELAYS},
    "queue": {"transport": "queue", "queue": "file:queue-url"},
}
BEFORE, WHILE, AFTER = 5, 25, 5


@pytest.fixture
def queue(rabbitmq: RabbitMq) -> Queue:
    return amqp_queue(rabbitmq)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def world(environment: dict[str, str], tmp_path: Path, queue: Queue, port: int) -> Iterator[WebhookWorld]:
    url = f"http://127.0.0.1:{port}/hook"
    listed = [endpoint(name, url, **fields) for name, fields in ENDPOINTS.items()]
    files = {"queue-url": queue.url}
    with webhook_world(environment, tmp_path, listed, files, TELLTALE_WEBHOOK_DELAY_FACTOR=FACTOR) as world:
        yield world


@pytest.mark.slow
def test_everything_arrives_when_rabbitmq_and_the_endpoints_were_down_together(
    *, world: WebhookWorld, rabbitmq: RabbitMq, queue: Queue, port: int, tmp_path: Path
) -> None:
    began, stored = clock.now(), defaultdict(set)

    def store(count: int) -> None:
        for name in ENDPOINTS:
            stored[name].update(world.store(name, count))
        world.services.wake({(name, name) for name in ENDPOINTS})

    with programs(world, tmp_path, "worker-webhooks", "beat"), ExitStack() as servers:
        server = RawServer(answer(), port=port)
        with server:
            store(BEFORE)
            eventually(lambda: not waiting(world), "all is well before")
        requests = list(server.requests)
        rabbitmq.kill()
        try:
            store(WHILE)
            eventually(lambda: all(has_failed(world, name) for name in ENDPOINTS), "everybody has been tried in vain")
        finally:
            rabbitmq.start_again()
        server = servers.enter_context(RawServer(answer(), port=port))
        store(AFTER)
        eventually(lambda: not waiting(world), "everything was taken")
        requests += server.requests
    told: dict[str, set[bytes]] = defaultdict(set)
    for webhook_id, body in [
        *((request.headers["webhook-id"], request.body) for request in requests),
        *((message.id, message.body) for message in queue.read()),
    ]:
        told[webhook_id].add(body)
    assert all(len(bodies) == 1 for bodies in told.values()), "the same bytes at every attempt, by whatever way"
    arrived = {event for bodies in told.values() for body in bodies for event in events_in(body)}
    assert arrived == set().union(*stored.values())
    for name in ENDPOINTS:
        assert world.states(name).keys() <= {"delivered", "queued"}
        missing, _ = count(world, name, RECOVERED_STATES, began)
        assert missing == 0, "a replay by range finds nothing that did not arrive"
        _, events = count(world, name, frozenset(DeliveryState), began)
        assert events == len(stored[name]), "and everything that did"


def count(world: WebhookWorld, name: str, states: frozenset[DeliveryState], since: datetime) -> tuple[int, int]:
    """Deliveries and events that a replay of the whole time would send."""
    until = clock.now() + timedelta(seconds=1)
    return world.services.deliveries.count(name, name, states, since=since, until=until, most=10_000)


def waiting(world: WebhookWorld) -> int:
    return sum(world.states(name).get("pending", 0) for name in ENDPOINTS)


def has_failed(world: WebhookWorld, name: str) -> bool:
    """Whether something that waits has an attempt in its log."""
    query = {"endpoint_id": name, "state": "pending", "log": {"$exists": True}}
    return world.services.database["deliveries"].count_documents(query, limit=1) == 1


def events_in(body: bytes) -> list[str]:
    content = json.loads(body)
    listed = content["data"]["events"] if content["type"] == "events.batch" else [content]
    return [event["id"] for event in listed]
