"""A worker is killed at every point of its work, one after the other; the next one finishes it, and nothing is lost.

The points are not listed here: `webhook_story` counts them where the process speaks to something outside of it, and
each story is played until one run of it was not killed any more.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.lib import ids
from local.environment import REPOSITORY
from local.rabbitmq import RabbitMq
from tests.contracts.brokers import Queue, amqp_queue, rabbitmq
from tests.end_to_end.receiver import Receiver
from tests.end_to_end.webhook_world import WebhookWorld, endpoint, webhook_world

__all__ = ["rabbitmq"]  # a fixture

NAME = "harbour"
LATER_SECONDS = 60.0
"""Longer than a lease: what the killed process had is free again."""
MAX_POINTS = 300
Point = tuple[str, int]
"""A name, and which of its occurrences."""
NEVER: Point = ("", 0)
ARRIVED = "arrived"
"""The brand has a request and has not answered it; this one kills from outside."""
Answer = Callable[[bytes], int]
MakeCase = Callable[..., "Case"]


class Storyteller:
    """The program `webhook_story`, which plays each story in a fork of itself."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.end_to_end.webhook_story"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, story: dict[str, Any]) -> int:
        """The pid of the process that plays it now."""
        assert self._process.stdin is not None
        print(json.dumps(story), file=self._process.stdin, flush=True)
        return int(self._read()["pid"])

    def end(self) -> tuple[int, list[str]]:
        """How it ended, and the points that it reached."""
        ended = self._read()
        return ended["status"], ended["points"]

    def stop(self) -> None:
        self._process.communicate(timeout=10)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found


@pytest.fixture(scope="module")
def storyteller() -> Iterator[Storyteller]:
    found = Storyteller()
    yield found
    found.stop()


@dataclass
class Brand:
    """Answers as a story says, and kills whoever asks for the n-th time."""

    answer: Answer
    kill_at: int
    known: threading.Event = field(default_factory=threading.Event)
    pid: int = 0
    asked: int = 0

    def respond(self, body: bytes) -> tuple[int, bytes]:
        self.asked += 1
        if self.asked == self.kill_at:
            assert self.known.wait(10)
            os.kill(self.pid, signal.SIGKILL)
        return self.answer(body), b""


@dataclass
class Case:
    """A story with everything around it.

    Args:
        parts: how many events are stored by each call, as ingest stores batches.
        answer: makes how the brand answers, anew for each case.
        final: the state in which every row ends.
    """

    world: WebhookWorld
    receiver: Receiver
    storyteller: Storyteller
    parts: tuple[int, ...]
    answer: Callable[[], Answer]
    final: str
    queue: Queue | None

    def play_every_kill(self) -> set[Point]:
        """Play once to the end, then once for each point that was seen in any run. Answers those that were the end."""
        seen, tried, ended = self._play(NEVER), {NEVER}, set()
        while untried := sorted(seen - tried):
            point = untried[0]
            reached = self._play(point)
            tried.add(point)
            seen |= reached
            if point in reached:
                ended.add(point)
            assert len(tried) < MAX_POINTS, "the story does not end"
        print(f"killed at {len(ended)} points: {sorted(ended)}")
        return ended

    def _play(self, kill_at: Point) -> set[Point]:
        """One case; the points that were reached by the process that was to be killed."""
        self._forget()
        parts = [[ids.new_id() for _ in range(count)] for count in self.parts]
        story = {
            "environment": dict(self.world.environment),
            "endpoint": NAME,
            "block": self.world.block(NAME).start,
            "parts": [[event.hex() for event in part] for part in parts],
            "kill_at": kill_at,
            "later_seconds": 0.0,
        }
        brand = Brand(self.answer(), kill_at[1] if kill_at[0] == ARRIVED else 0)
        self.receiver.respond(NAME, brand.respond)
        already = len(self.receiver.received(NAME))
        brand.pid = self.storyteller.begin(story)
        brand.known.set()
        status, names = self.storyteller.end()
        points = numbered([*names, *[ARRIVED] * brand.asked])
        assert status == (-signal.SIGKILL if kill_at in points else 0), f"{kill_at}: {status}, {names}"
        if status:
            brand.kill_at = 0
            brand.pid = self.storyteller.begin(story | {"kill_at": NEVER, "later_seconds": LATER_SECONDS})
            finished, names = self.storyteller.end()
            assert finished == 0, f"{kill_at}: what it left was not finished: {finished}, {names}"
        self._check({ids.event_id_text(event) for part in parts for event in part}, already, str(kill_at))
        return points

    def _check(self, events: set[str], already: int, case: str) -> None:
        told = [(one.id, one.body, one.status // 100 == 2) for one in self.receiver.received(NAME)[already:]]
        told += [(one.id, one.body, True) for one in (self.queue.read() if self.queue else ())]
        assert self.receiver.faults == [], f"{case}: signatures, ids and bytes"
        bodies: dict[str, set[bytes]] = defaultdict(set)
        contents: dict[str, set[str]] = defaultdict(set)
        accepted = set()
        for webhook_id, body, taken in told:
            bodies[webhook_id].add(body)
            for event in events_in(body):
                contents[event["id"]].add(json.dumps(event))
                accepted |= {event["id"]} if taken else set()
        assert all(len(of_one) == 1 for of_one in bodies.values()), f"{case}: a webhook id has two bodies"
        assert all(len(of_one) == 1 for of_one in contents.values()), f"{case}: an event changed between two requests"
        states = self.world.states(NAME)
        assert states.keys() == {self.final}, f"{case}: {states}"
        if self.final == "parked":
            assert states["parked"] == len(events), f"{case}: {states}"
        else:
            assert accepted == events, f"{case}: events were lost, or are nobody's"

    def _forget(self) -> None:
        """As if the endpoint were new, so that each case begins alike."""
        database = self.world.services.database
        for name in database.list_collection_names():
            if name == "deliveries" or name.startswith("endpoint_"):
                database[name].delete_many({})
        self.world.services.redis.flushdb()


@pytest.fixture
def make_case(environment: dict[str, str], tmp_path: Path, storyteller: Storyteller) -> Iterator[MakeCase]:
    with Receiver() as receiver:
        worlds = []

        def make(
            answer: Callable[[], Answer],
            *parts: int,
            final: str = "delivered",
            queue: Queue | None = None,
            **fields: Any,
        ) -> Case:
            if queue is not None:
                fields = {"transport": "http_then_queue", "queue": "file:queue", **fields}
            listed = [endpoint(NAME, receiver.url(NAME), **fields)]
            files = {"queue": queue.url} if queue else {}
            context = webhook_world(environment, tmp_path, listed, files, TELLTALE_WEBHOOK_DELAY_FACTOR="0.001")
            worlds.append(context)
            world = context.__enter__()
            receiver.trust(NAME, world.secrets[NAME])
            return Case(world, receiver, storyteller, parts, answer, final, queue)

        yield make
        for context in worlds:
            context.__exit__(None, None, None)


def numbered(names: list[str]) -> set[Point]:
    counted: Counter[str] = Counter()
    points = set()
    for name in names:
        counted[name] += 1
        points.add((name, counted[name]))
    return points


def events_in(body: bytes) -> list[dict[str, Any]]:
    content: dict[str, Any] = json.loads(body)
    events: list[dict[str, Any]] = content["data"]["events"] if content["type"] == "events.batch" else [content]
    return events


def refuses() -> Answer:
    return lambda body: 500


def refuses_first() -> Answer:
    """500 to each webhook when it comes for the first time."""
    seen: set[bytes] = set()

    def answer(body: bytes) -> int:
        new = body not in seen
        seen.add(body)
        return 500 if new else 204

    return answer


def is_busy_at_first() -> Answer:
    answers = iter((429,))
    return lambda body: next(answers, 204)


def takes_no_batches() -> Answer:
    return lambda body: 413 if len(events_in(body)) > 1 else 204


def is_gone() -> Answer:
    return lambda body: 410


def test_single_deliveries_survive_a_kill_at_every_point(make_case: MakeCase) -> None:
    """Also those that are released unsent, because the endpoint asks for a pause."""
    killed = make_case(is_busy_at_first, 3, max_in_flight=1).play_every_kill()
    for name in ("request", ARRIVED, "answer"):
        assert {(name, number) for number in (1, 2, 3, 4)} <= killed
    assert {("insert deliveries", 1), ("update deliveries", 1), ("update deliveries", 2)} <= killed


def test_batches_survive_a_kill_while_they_are_filled_frozen_sent_and_divided(make_case: MakeCase) -> None:
    batching = {"max_events": 3, "max_wait_seconds": 1}
    killed = make_case(takes_no_batches, 1, 1, batching=batching).play_every_kill()
    assert ("insert deliveries", 2) in killed, "the second is stored alone and fills the first"
    assert ("answer", 3) in killed, "both, and each alone"


def test_retries_in_a_strict_line_survive_a_kill_at_every_point(make_case: MakeCase) -> None:
    killed = make_case(refuses_first, 2, strict=True).play_every_kill()
    assert ("answer", 4) in killed


def test_what_is_parked_survives_a_kill_at_every_point(make_case: MakeCase) -> None:
    killed = make_case(is_gone, 2, max_in_flight=1, final="parked").play_every_kill()
    assert ("answer", 1) in killed


def test_what_falls_back_to_the_queue_survives_a_kill_at_every_point(make_case: MakeCase, rabbitmq: RabbitMq) -> None:
    killed = make_case(refuses, 1, final="queued", queue=amqp_queue(rabbitmq), fallback_attempts=1).play_every_kill()
    assert {("publish", 1), ("published", 1)} <= killed, "before the message and after it was confirmed"
