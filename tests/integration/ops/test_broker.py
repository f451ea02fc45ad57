"""Publishing on a real Valkey: what is queued, what it shows of itself, and how long a caller waits when it fails."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable

import pytest
import redis

from app.broker import Broker
from app.errors import BrokerUnavailable
from config.celery import KEY_PREFIX
from config.queues import Queue, TaskName
from config.settings import Settings
from tests.integration.ops.conftest import OwnBroker, eventually

MARK = "marta.mark@inbox.example"
BOUND_SECONDS = 1.5
"""The promise is about a second; the rest is for a busy test machine."""


@pytest.fixture
def broker(own_settings: Settings) -> Broker:
    return Broker(own_settings)


def _seconds_to_fail(call: Callable[[], object]) -> float:
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        call()
    return time.monotonic() - began


def test_a_task_goes_to_the_queue_of_its_name(broker: Broker) -> None:
    broker.enqueue(TaskName.INGEST_BATCH, "b1", "sealed")
    broker.enqueue(TaskName.INGEST_BATCH, "b2", "sealed")
    broker.enqueue(TaskName.DELIVER_ENDPOINT, "alder", "main")
    assert broker.depths() == {
        **dict.fromkeys((queue.value for queue in Queue), 0),
        "held": 0,
        "ingest": 2,
        "webhooks": 1,
    }


def test_no_argument_shows_in_headers_or_properties(broker: Broker, own_broker: OwnBroker) -> None:
    broker.enqueue(TaskName.INGEST_BATCH, "b1", MARK)
    client = redis.Redis.from_url(own_broker.url)
    raw = client.lindex(f"{KEY_PREFIX}ingest", 0)
    client.close()
    assert isinstance(raw, bytes)
    assert MARK not in raw.decode()
    message = json.loads(raw)
    assert message["headers"]["argsrepr"] == message["headers"]["kwargsrepr"] == "<hidden>"
    body = json.loads(base64.b64decode(message["body"]))
    assert body[0] == ["b1", MARK]


def test_a_dead_broker_costs_no_time(broker: Broker, own_broker: OwnBroker) -> None:
    broker.enqueue(TaskName.INGEST_BATCH, "b1", "sealed")
    own_broker.kill()
    assert _seconds_to_fail(lambda: broker.enqueue(TaskName.INGEST_BATCH, "b2", "sealed")) < BOUND_SECONDS
    assert _seconds_to_fail(broker.depths) < BOUND_SECONDS


def test_a_stalled_broker_costs_a_second_at_most(broker: Broker, own_broker: OwnBroker, own_settings: Settings) -> None:
    broker.enqueue(TaskName.INGEST_BATCH, "b1", "sealed")
    with own_broker.stalled():
        connected = _seconds_to_fail(lambda: broker.enqueue(TaskName.INGEST_BATCH, "b2", "sealed"))
        fresh = _seconds_to_fail(lambda: Broker(own_settings).enqueue(TaskName.INGEST_BATCH, "b3", "sealed"))
        asked = _seconds_to_fail(broker.depths)
    assert max(connected, fresh, asked) < BOUND_SECONDS


def test_after_a_failure_nobody_tries_for_a_moment_and_then_it_works_again(
    broker: Broker, own_broker: OwnBroker
) -> None:
    with own_broker.stalled():
        _seconds_to_fail(lambda: broker.enqueue(TaskName.INGEST_BATCH, "b1", "sealed"))
        assert _seconds_to_fail(lambda: broker.enqueue(TaskName.INGEST_BATCH, "b2", "sealed")) < 0.05
    # It answers again, but the breaker is still open; nothing is sent until it closes.
    assert eventually(lambda: _works(broker), seconds=10)


def test_a_restart_between_two_tasks_goes_unnoticed(broker: Broker, own_broker: OwnBroker) -> None:
    broker.enqueue(TaskName.INGEST_BATCH, "b1", "sealed")
    own_broker.kill()
    own_broker.restart()
    broker.enqueue(TaskName.INGEST_BATCH, "b2", "sealed")
    assert broker.depths()["ingest"] == 2


def test_an_emptied_redis_takes_tasks_as_before(broker: Broker, own_broker: OwnBroker) -> None:
    broker.enqueue(TaskName.INGEST_BATCH, "b1", "sealed")
    with redis.Redis.from_url(own_broker.url) as client:
        client.flushall()
    broker.enqueue(TaskName.INGEST_BATCH, "b2", "sealed")
    assert broker.depths()["ingest"] == 1


def test_a_full_redis_is_a_broker_that_is_away(broker: Broker, own_broker: OwnBroker) -> None:
    with redis.Redis.from_url(own_broker.url) as client:
        client.config_set("maxmemory", "100kb")
    assert _seconds_to_fail(lambda: broker.enqueue(TaskName.INGEST_BATCH, "b1", "sealed")) < BOUND_SECONDS


def _works(broker: Broker) -> bool:
    try:
        broker.enqueue(TaskName.INGEST_BATCH, "again", "sealed")
    except BrokerUnavailable:
        return False
    return True
