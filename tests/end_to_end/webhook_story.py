"""A program for test_webhook_kill.py: plays the story of some deliveries in a process that ends itself at one point.

A point is reached before whatever leaves the process (a write to MongoDB, a command to Redis, a request to an endpoint,
a message to a queue) and after a request's answer. They are counted where they leave, so a call that is new in the
code is a new point by itself. Between two of them the stores do not change, so a process killed anywhere in between is
one of these cases.

Reads one story per line of standard input, plays it in a fork, and writes two lines of JSON: the fork's pid and, when
it has ended, how, and the points that it reached.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
import signal
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import redis
from pymongo import monitoring

from app import services as services_module
from app.lib import clock
from app.outbound import EndpointRuns
from app.queues.publisher import Queues
from app.services import Services, build_services
from app.webhook_outbox import WebhookOutbox
from app.webhooks.transport import Sender
from config.settings import load_settings
from tests.end_to_end.webhook_world import opened

_WRITES = frozenset({"insert", "update", "delete", "findAndModify", "bulkWrite"})
_ROUNDS = 25
_ROUND_SECONDS = 2.0
"""So far the clock is set forward before each turn, so that what waits for its retry is due."""
_WAITING = ("pending",)


class Points(monitoring.CommandListener):
    """Tells of each point on a pipe; ends the process without a word at point `kill_at`."""

    def __init__(self) -> None:
        self.pipe = -1
        self.kill_at: tuple[str, int] = ("", 0)
        """A name, and which of its occurrences: what runs at the same time comes in another order each time."""
        self._reached: Counter[str] = Counter()

    def reach(self, name: str) -> None:
        if self.pipe < 0:
            return
        self._reached[name] += 1
        os.write(self.pipe, f"{name}\n".encode())
        if (name, self._reached[name]) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name in _WRITES:
            self.reach(f"{event.command_name} {event.command[event.command_name]}")

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


_points = Points()


def main() -> None:
    # Once for all forks: the system's authorities and the tables of codes take longer than a story.
    ssl.create_default_context = functools.cache(ssl.create_default_context)
    ssl.create_default_context()
    services_module.Codes = functools.cache(services_module.Codes)
    monitoring.register(_points)
    _count_calls(redis.Redis, "execute_command", lambda args: f"redis {args[1]}")
    _count_calls(redis.client.Pipeline, "execute", lambda args: "redis pipeline")
    _count_calls(Queues, "publish", lambda args: "publish", then="published")
    _count_sends()
    for line in sys.stdin:
        story = json.loads(line)
        services_module.Codes(load_settings(story["environment"]).code_key)
        _fork(story)


def _fork(story: dict[str, Any]) -> None:
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        _points.pipe, _points.kill_at = writing, tuple(story["kill_at"])
        _play_and_exit(story)
    os.close(writing)
    print(json.dumps({"pid": pid}), flush=True)
    with os.fdopen(reading, "rb") as reached:
        points = reached.read().decode().splitlines()
    _, status = os.waitpid(pid, 0)
    print(json.dumps({"status": os.waitstatus_to_exitcode(status), "points": points}), flush=True)


def _play_and_exit(story: dict[str, Any]) -> None:
    status = 1
    try:
        status = 0 if _play(story) else 2
    except BaseException:
        logging.exception("the story broke off")
    finally:
        sys.stderr.flush()
        os._exit(status)  # nothing of the parent's is to be run here


def _play(story: dict[str, Any]) -> bool:
    """Store the events as ingest does, then deliver until nothing waits; whether that came about."""
    os.environ.update(story["environment"])
    later = story["later_seconds"]
    _set_clock_forward(later)
    app, name = build_services(load_settings(), role="worker"), story["endpoint"]
    block = app.block_cache.find_many({story["block"]})[story["block"]]
    for part in story["parts"]:
        events = [opened(block, bytes.fromhex(text), index) for index, text in enumerate(part)]
        WebhookOutbox(app).write(events, {block.start: block})
    runs = EndpointRuns(app)
    with asyncio.Runner() as loop:
        for number in range(1, _ROUNDS):
            loop.run(runs.run((name, name)))
            if not _waits(app, name):
                return True
            _set_clock_forward(later + number * _ROUND_SECONDS)
    return False


def _waits(app: Services, name: str) -> bool:
    query = {"endpoint_id": name, "state": {"$in": _WAITING}}
    return app.database["deliveries"].count_documents(query, limit=1) > 0


def _set_clock_forward(
    seconds: float, real: Callable[[], Any] = clock.now, ms: Callable[[], int] = clock.now_ms
) -> None:
    clock.now = lambda: real() + timedelta(seconds=seconds)
    clock.now_ms = lambda: ms() + int(seconds * 1000)


def _count_calls(owner: Any, method: str, name: Callable[[tuple[Any, ...]], str], then: str = "") -> None:
    original = getattr(owner, method)

    @functools.wraps(original)
    def counted(*args: Any, **options: Any) -> Any:
        _points.reach(name(args))
        answer = original(*args, **options)
        if then:
            _points.reach(then)
        return answer

    setattr(owner, method, counted)


def _count_sends() -> None:
    original = Sender.send

    async def send(self: Sender, *args: Any, **options: Any) -> Any:
        _points.reach("request")
        sent = await original(self, *args, **options)
        _points.reach("answer")
        return sent

    Sender.send = send  # type: ignore[method-assign]  # a process of its own


if __name__ == "__main__":
    main()
