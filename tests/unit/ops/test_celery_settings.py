"""The relations between Celery's settings that keep tasks from running twice, waiting for ever or going nowhere."""

from __future__ import annotations

import pytest
from celery import Celery
from celery.exceptions import QueueNotFound

from config.beat import PERIOD_SECONDS, beat_schedule
from config.celery import HARD_LIMIT_SECONDS, SOFT_LIMIT_SECONDS, VISIBILITY_SECONDS, celery_settings
from config.queues import QUEUE_OF, Queue, TaskName
from config.settings import Settings, load_settings
from tasks.base import MAX_DELAY_SECONDS, MAX_RETRIES, retry_delay
from tasks.maintenance import WORK_SECONDS


@pytest.fixture
def settings() -> Settings:
    key = "A" * 43 + "="
    given = {"MONGO_URL": "m", "REDIS_URL": "redis://localhost:1/0", "CODE_KEY": key, "MASTER_KEYS": f"k:{key}"}
    return load_settings({f"TELLTALE_{name}": value for name, value in given.items()})


def test_a_running_task_is_never_given_to_a_second_worker() -> None:
    assert SOFT_LIMIT_SECONDS < HARD_LIMIT_SECONDS
    # A task that was taken, waited out its longest retry delay and then ran to the hard limit.
    assert MAX_DELAY_SECONDS + HARD_LIMIT_SECONDS < VISIBILITY_SECONDS


def test_a_long_run_of_maintenance_stops_before_its_soft_limit() -> None:
    assert WORK_SECONDS + 20 <= SOFT_LIMIT_SECONDS


def test_retry_delays_grow_and_never_pass_their_bound() -> None:
    delays = [max(retry_delay(number) for _ in range(200)) for number in range(MAX_RETRIES + 20)]
    assert max(delays) <= MAX_DELAY_SECONDS
    assert delays[0] < delays[2] < delays[4]
    assert min(retry_delay(0) for _ in range(200)) > 0


def test_every_task_has_a_queue_that_exists(settings: Settings) -> None:
    found = celery_settings(settings, web=False)
    names = {queue.name for queue in found["task_queues"]}
    assert names == {queue.value for queue in Queue}
    assert set(QUEUE_OF) == set(TaskName)
    assert {route["queue"] for route in found["task_routes"].values()} <= names


def test_a_queue_that_nobody_declared_is_an_error(settings: Settings) -> None:
    app = Celery("x", set_as_current=False, changes=celery_settings(settings, web=True))
    with pytest.raises(QueueNotFound):
        app.amqp.router.route({"queue": "typing-error"}, "ingest.batch")


def test_whoever_publishes_waits_for_less_than_a_worker(settings: Settings) -> None:
    web, worker = (celery_settings(settings, web=web)["broker_transport_options"] for web in (True, False))
    assert web["socket_timeout"] < 1 < worker["socket_timeout"]
    # The shortest visibility timeout on a Redis wins, so both sides must name the same.
    assert web["visibility_timeout"] == worker["visibility_timeout"]
    assert web["global_keyprefix"] == worker["global_keyprefix"]


def test_every_setting_is_one_that_celery_knows(settings: Settings) -> None:
    from celery.app.defaults import DEFAULTS  # here: it is Celery's inside, and only this test needs it

    assert set(celery_settings(settings, web=False)) <= set(DEFAULTS)


def test_every_tick_expires_before_a_pile_can_form() -> None:
    schedule = beat_schedule()
    assert set(schedule) == {task.value for task in PERIOD_SECONDS}
    for entry in schedule.values():
        assert 0 < entry["options"]["expires"] <= 2 * entry["schedule"]
    assert all(task not in PERIOD_SECONDS for task in (TaskName.INGEST_BATCH, TaskName.DELIVER_ENDPOINT))
