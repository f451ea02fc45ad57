"""A real Celery worker: it outlives its broker, retries within bounds, and shows nobody what a task was about."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import celery
import pytest
import redis
from pymongo.database import Database

from app.broker import Broker
from app.errors import BrokerUnavailable
from config.celery import celery_settings
from config.settings import Settings
from tests.integration.ops.conftest import Celery, OwnBroker, eventually
from tests.integration.ops.probe_names import Probe, named

MARK = "marta.mark@inbox.example"

pytestmark = pytest.mark.slow


@pytest.fixture
def broker(own_settings: Settings, database: Database[dict[str, Any]]) -> Broker:
    return Broker(own_settings)


@pytest.fixture
def runs(redis_url: str) -> Iterator[Callable[[Probe], list[str]]]:
    """The arguments of a probe's runs so far."""
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    yield lambda probe: client.lrange(f"{probe.value}:runs", 0, -1)  # type: ignore[arg-type, return-value]  # not async
    client.close()


@pytest.fixture
def worker(start_celery: Callable[..., Celery], broker: Broker, runs: Callable[[Probe], list[str]]) -> Celery:
    """One that runs already."""
    worker = start_celery("worker", "-Q", "maintenance", "-c", "2", "-E", "--without-gossip", "--without-mingle")
    broker.enqueue(named(Probe.NOTE), "started")
    assert eventually(lambda: runs(Probe.NOTE) == ["started"]), worker.output()
    return worker


def test_a_worker_outlives_a_restart_of_redis(
    worker: Celery, broker: Broker, own_broker: OwnBroker, runs: Callable[[Probe], list[str]]
) -> None:
    for number in range(2):
        own_broker.kill()
        own_broker.restart()
        broker.enqueue(named(Probe.NOTE), f"after restart {number}")
        assert eventually(lambda: f"after restart {number}" in runs(Probe.NOTE)), worker.output()  # noqa: B023 - at once
    assert worker.process.poll() is None


def test_a_busy_worker_outlives_a_crash_of_redis_and_ends_what_it_does(
    worker: Celery, broker: Broker, own_broker: OwnBroker, runs: Callable[[Probe], list[str]]
) -> None:
    for name in ("a", "b"):
        broker.enqueue(named(Probe.SLOW), name)
    assert eventually(lambda: len(runs(Probe.SLOW)) == 2), worker.output()
    own_broker.kill()
    # Long enough for both tasks to end while there is no broker to tell.
    assert eventually(lambda: len(runs(Probe.SLOW)) == 4), worker.output()
    own_broker.restart()
    assert eventually(lambda: _enqueued(broker, Probe.NOTE, "after"))
    assert eventually(lambda: "after" in runs(Probe.NOTE)), worker.output()
    assert worker.process.poll() is None


def test_a_worker_whose_tasks_end_after_redis_came_back_goes_on(
    worker: Celery, broker: Broker, own_broker: OwnBroker, runs: Callable[[Probe], list[str]]
) -> None:
    broker.enqueue(named(Probe.SLOW), "a")
    assert eventually(lambda: len(runs(Probe.SLOW)) == 1), worker.output()
    own_broker.kill()
    own_broker.restart()
    assert eventually(lambda: _enqueued(broker, Probe.SLOW, "b"))
    # All of its processes work again: two tasks run at once.
    assert eventually(lambda: _enqueued(broker, Probe.SLOW, "c"))
    assert eventually(lambda: {"a ended", "b ended", "c ended"} <= set(runs(Probe.SLOW))), worker.output()
    assert worker.process.poll() is None


def test_a_worker_goes_on_after_redis_was_emptied(
    worker: Celery, broker: Broker, own_broker: OwnBroker, runs: Callable[[Probe], list[str]]
) -> None:
    with redis.Redis.from_url(own_broker.url) as client:
        client.flushall()
    broker.enqueue(named(Probe.NOTE), "after flush")
    assert eventually(lambda: "after flush" in runs(Probe.NOTE)), worker.output()


def test_a_transient_failure_is_tried_again_and_not_for_ever(
    worker: Celery, broker: Broker, runs: Callable[[Probe], list[str]]
) -> None:
    broker.enqueue(named(Probe.TRANSIENT), "x")
    assert eventually(lambda: "task_gave_up" in worker.output()), worker.output()
    assert runs(Probe.TRANSIENT) == ["x"] * 3


def test_a_task_that_kills_its_process_ends_too(
    worker: Celery, broker: Broker, runs: Callable[[Probe], list[str]]
) -> None:
    broker.enqueue(named(Probe.DEADLY), "x")
    assert eventually(lambda: len(runs(Probe.DEADLY)) == 3), worker.output()
    broker.enqueue(named(Probe.NOTE), "after")
    assert eventually(lambda: "after" in runs(Probe.NOTE)), worker.output()
    assert eventually(lambda: broker.depths()["held"] == 0), worker.output()
    assert len(runs(Probe.DEADLY)) == 3


def test_a_failure_that_will_not_pass_is_tried_once(
    worker: Celery, broker: Broker, runs: Callable[[Probe], list[str]]
) -> None:
    broker.enqueue(named(Probe.PERMANENT), "x")
    broker.enqueue(named(Probe.UNKNOWN), "x")
    assert eventually(lambda: {"task_refused", "task_failed"} <= _events(worker)), worker.output()
    assert runs(Probe.PERMANENT) == runs(Probe.UNKNOWN) == ["x"]


def test_what_a_task_is_about_shows_in_no_log_and_no_worker_event(
    worker: Celery, broker: Broker, own_settings: Settings, runs: Callable[[Probe], list[str]]
) -> None:
    with _worker_events(own_settings) as events:
        for probe in (Probe.NOTE, Probe.TRANSIENT, Probe.PERMANENT, Probe.UNKNOWN):
            broker.enqueue(named(probe), MARK)
        # Two fail at once, one after its retries: the texts of all three errors hold the mark.
        assert eventually(lambda: sum(event["type"] == "task-failed" for event in events) == 3), worker.output()
    assert MARK in runs(Probe.NOTE)
    kinds = {event["type"] for event in events}
    assert {"task-received", "task-retried", "task-succeeded"} <= kinds
    assert [event for event in events if "marta" in json.dumps(event)] == []
    assert "marta" not in worker.output()


def test_every_line_of_a_worker_that_runs_is_json(worker: Celery, broker: Broker) -> None:
    broker.enqueue(named(Probe.UNKNOWN), MARK)
    assert eventually(lambda: "task_failed" in worker.output()), worker.output()
    lines = worker.output().splitlines()
    # What Celery prints before it has started, its banner, is no log.
    first = next(index for index, line in enumerate(lines) if line.startswith("{"))
    assert [line for line in lines[first:] if line.strip() and not line.startswith("{")] == []


def _events(worker: Celery) -> set[str]:
    lines = [line for line in worker.output().splitlines() if line.startswith("{") and line.endswith("}")]
    return {json.loads(line)["event"] for line in lines}


@contextmanager
def _worker_events(settings: Settings) -> Iterator[list[dict[str, Any]]]:
    """What Flower would see, as long as the block runs."""
    app = celery.Celery("listener", set_as_current=False, changes=celery_settings(settings, web=False))
    events: list[dict[str, Any]] = []
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": events.append})
        thread = threading.Thread(target=receiver.capture, kwargs={"limit": None, "timeout": 120})
        thread.start()
        try:
            # It listens as soon as the worker's answer to its first question has come.
            assert eventually(lambda: bool(events), seconds=20)
            yield events
        finally:
            receiver.should_stop = True
            thread.join(20)
            assert not thread.is_alive()
    app.close()


def _enqueued(broker: Broker, probe: Probe, text: str) -> bool:
    try:
        broker.enqueue(named(probe), text)
    except BrokerUnavailable:
        return False
    return True
