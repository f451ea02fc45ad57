"""What every task shares: its services, its retries, and that only one of several beats' ticks counts.

A task is a short function: load, call, save, enqueue. It raises what `app.errors` names and is retried, or not, here.
"""

from __future__ import annotations

import functools
import logging
import os
import random
from collections.abc import Callable
from typing import Any, NoReturn, ParamSpec

import sentry_sdk
from celery import Task, shared_task
from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded

from app.broker import HIDDEN
from app.errors import PermanentError, StoreUnavailable, TransientError
from app.lib.log import ERROR, WARNING, log_event, log_failure
from app.services import Services, build_services
from app.storage.client import translated
from config.beat import PERIOD_SECONDS
from config.queues import TaskName
from config.settings import load_settings

log = logging.getLogger(__name__)

P = ParamSpec("P")

MAX_RETRIES = 5
FIRST_DELAY_SECONDS = 0.5
MAX_DELAY_SECONDS = 10.0
"""A retry waits in a worker's memory, unacknowledged. Far below the visibility timeout: a longer wait would be given
to a second worker while the first still waits. Whatever needs longer waits in MongoDB (deliveries) or in the journal
(batches), and both come back by themselves."""

_services: tuple[int, Services] | None = None


class TaskFailed(Exception):
    """What Celery and Flower hear of a task that failed: a type's name, no text, no values."""


def services() -> Services:
    """This process's services; built on first use, and again after a fork, which no client of a store survives."""
    global _services  # noqa: PLW0603 - one per process is what it is for
    if _services is None or _services[0] != os.getpid():
        _services = (os.getpid(), build_services(load_settings(), role="worker"))
    return _services[1]


class TelltaleTask(Task):  # type: ignore[misc]  # Celery has no types
    """The base of all tasks."""

    abstract = True
    max_retries = MAX_RETRIES
    default_retry_delay = MAX_DELAY_SECONDS / 2
    """For the one retry that Celery decides itself, after a child was killed. Its default of three minutes is as long
    as the visibility timeout."""
    throws = (TaskFailed,)
    """Reported here already, with more sense: Celery notes it at level INFO and without a trace."""

    def apply_async(self, *args: Any, **options: Any) -> Any:
        """As Celery's, with the arguments kept out of headers, events and Flower; retries pass here too."""
        return super().apply_async(*args, **{"argsrepr": HIDDEN, "kwargsrepr": HIDDEN, **options})

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        try:
            self.run(*args, **kwargs)
        except (Ignore, Reject, Retry):
            raise
        except (TransientError, SoftTimeLimitExceeded) as error:
            self._again(error)
        except PermanentError as error:
            log_failure(log, "task_refused", error, task=self.name, task_id=self.request.id)
            raise TaskFailed(type(error).__name__) from None
        except Exception as error:  # noqa: BLE001 - the edge: whatever it is, its text must not reach Celery's log
            log_failure(log, "task_failed", error, task=self.name, task_id=self.request.id)
            sentry_sdk.capture_exception(error)
            raise TaskFailed(type(error).__name__) from None

    def _again(self, error: Exception) -> NoReturn:
        """Retry after a bounded, jittered wait, or give up."""
        retries = self.request.retries
        fields = {"task": self.name, "task_id": self.request.id, "error": type(error).__name__, "retries": retries}
        if retries >= self.max_retries:
            # A periodic task has no retries: its next tick is one.
            log_event(log, ERROR if self.max_retries else WARNING, "task_gave_up", **fields)
            raise TaskFailed(type(error).__name__) from None
        log_event(log, WARNING, "task_retried", **fields)
        try:
            retry = self.retry(exc=TaskFailed(type(error).__name__), countdown=retry_delay(retries), throw=False)
        except Reject:
            # The broker did not take it. What the task was about is still in the journal or in MongoDB.
            log_event(log, ERROR, "task_retry_lost", **fields)
            raise TaskFailed(type(error).__name__) from None
        # Raised here and `from None`: otherwise the worker's event tells the whole chain, with the first error's text.
        raise retry from None


def retry_delay(retries: int) -> float:
    """Seconds to wait before retry number `retries` (from 0): doubles, with jitter over the upper half."""
    delay = min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**retries)
    return float(delay * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, protects nothing


def task(name: TaskName, **options: Any) -> Callable[[Callable[P, None]], Any]:
    """Make a function a task: `@task(TaskName.INGEST_BATCH)`. Options as Celery's, such as `max_retries`."""
    return shared_task(name=name.value, base=TelltaleTask, **options)  # type: ignore[no-any-return]


def periodic(name: TaskName) -> Callable[[Callable[[], None]], Any]:
    """Make a function a task that beat calls: no retries, and one run per tick however many beats there are."""

    def declare(function: Callable[[], None]) -> Any:
        @functools.wraps(function)
        def tick() -> None:
            if first_this_tick(name):
                function()

        return task(name, max_retries=0)(tick)

    return declare


def first_this_tick(name: TaskName) -> bool:
    """Whether nobody else ran this periodic task just now.

    Only saves work: each periodic task must be right when two run at once, as they do when Redis does not answer.
    The lock lives for 0.6 periods instead of being named by a slice of time: ticks of one beat jitter around the end of
    a slice, and a tick would now and then be taken for a second one.
    """
    try:
        with translated():
            kept_ms = int(PERIOD_SECONDS[name] * 600)
            return bool(services().redis.set(f"telltale:tick:{name.value}", 1, nx=True, px=kept_ms))
    except StoreUnavailable as error:
        log_event(log, WARNING, "tick_lock_unavailable", task=name.value, error=str(error))
        return True
