"""The real Celery app with a few tasks more, for the workers that a test starts.

Each task notes its runs in the cache's Redis, which the tests leave alone when they kill the broker's.
"""

from __future__ import annotations

import os
import signal
import time

from app.errors import PermanentError, StoreUnavailable
from tasks.base import services, task
from tasks.celery_app import app
from tests.integration.ops.probe_names import Probe, named

__all__ = ["app"]


def _ran(probe: Probe, text: str) -> None:
    services().cache.rpush(f"{probe.value}:runs", text)


@task(named(Probe.NOTE))
def note(text: str) -> None:
    _ran(Probe.NOTE, text)


@task(named(Probe.TRANSIENT), max_retries=2)
def transient(text: str) -> None:
    _ran(Probe.TRANSIENT, text)
    raise StoreUnavailable(text)


@task(named(Probe.PERMANENT))
def permanent(text: str) -> None:
    _ran(Probe.PERMANENT, text)
    raise PermanentError(text)


@task(named(Probe.UNKNOWN))
def unknown(text: str) -> None:
    _ran(Probe.UNKNOWN, text)
    raise ValueError(text)


@task(named(Probe.DEADLY), max_retries=2)
def deadly(text: str) -> None:
    _ran(Probe.DEADLY, text)
    os.kill(os.getpid(), signal.SIGKILL)


@task(named(Probe.SLOW))
def slow(text: str) -> None:
    _ran(Probe.SLOW, f"{text} began")
    time.sleep(3)
    _ran(Probe.SLOW, f"{text} ended")
