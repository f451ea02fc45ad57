"""5,000 opens and clicks through nginx while processes are killed: every answer becomes one event and one webhook.

Each hit is to a link of its own, so that the events can be compared with the answers one by one and not in sum.
"""

from __future__ import annotations

import http.client
import os
import queue
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pymongo
import pytest

from app.tracking.codes import Codes
from config.settings import load_settings
from local.stack import Stack
from tests.end_to_end.client import BROWSER, Client, eventually
from tests.end_to_end.own_copy import own_copy
from tests.end_to_end.receiver import Receiver

MESSAGES, LINKS = 500, 9
PLAYERS = 8
HITS_PER_SECOND = 250
ANSWERED = (200, 302)
ROUNDS = 2


@dataclass
class Played:
    """What the players saw, by path."""

    statuses: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, path: str, status: int) -> None:
        with self.lock:
            self.statuses[path] = status


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def stack(tmp_path: Path, receiver: Receiver) -> Iterator[Stack]:
    # A lost batch comes again after seconds instead of twenty, so that the test ends sooner; nothing else differs.
    with own_copy(tmp_path, receiver, {"TELLTALE_RESHIP_AFTER_SECONDS": "4"}) as stack:
        yield stack


def register(client: Client) -> list[str]:
    """URLs of 500 messages with a pixel and nine links each: 5,000 different codes. First all pixels, then everybody's
    first link, and so on: who follows three links of a message within two seconds is a scanner, and is not counted."""
    links = "".join(f'<a href="https://shop.jackdaw.example/{index}?a=1&amp;b={index}">x</a>' for index in range(LINKS))
    registered = client.register(
        "ibis",
        {
            "channel": "email",
            "campaign_id": "killed",
            "content": {"html": f"<p>{links}</p>".replace("jackdaw", "ibis")},
            "recipients": [{"address": f"p{index}@people.example"} for index in range(MESSAGES)],
        },
    )
    of_messages = [(one["pixel_url"], *(link["tracked_url"] for link in one["links"])) for one in registered]
    urls = [url for of_place in zip(*of_messages, strict=True) for url in of_place]
    assert len(set(urls)) == MESSAGES * (LINKS + 1)
    return urls


def play(
    address: tuple[str, int], waiting: queue.SimpleQueue[str], played: Played, until_done: threading.Event
) -> None:
    """One client with one connection: asks at its share of the rate, notes the answer (0: none) and never repeats."""
    connection = http.client.HTTPConnection(*address, timeout=60)
    while True:
        try:
            url = waiting.get_nowait()
        except queue.Empty:
            connection.close()
            return
        started = time.monotonic()
        parts = urlsplit(url)
        try:
            connection.request("GET", parts.path, headers={"Host": parts.netloc, "User-Agent": BROWSER})
            response = connection.getresponse()
            response.read()
            status = response.status
        except (OSError, http.client.HTTPException):
            connection.close()
            status = 0
        played.note(parts.path, status)
        until_done.wait(max(0.0, PLAYERS / HITS_PER_SECOND - (time.monotonic() - started)))


def children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(child) for child in text.split()]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def victims(stack: Stack) -> list[tuple[str, Callable[[], int]]]:
    """Whom to kill, by name; the process is looked up at the last moment."""

    def pid(name: str) -> int:
        return stack.run_info.pids[name]

    return [
        ("uwsgi worker", lambda: children(pid("uwsgi"))[0]),
        ("shipper", lambda: pid("shipper")),
        ("ingest worker's child", lambda: children(pid("worker-ingest"))[-1]),
        ("valkey", lambda: pid("valkey")),
        ("uwsgi worker", lambda: children(pid("uwsgi"))[-1]),
        ("ingest worker", lambda: pid("worker-ingest")),
        ("webhooks worker's child", lambda: children(pid("worker-webhooks"))[-1]),
    ]


def kill_in_turn(stack: Stack, running: Callable[[], bool]) -> Counter[str]:
    """Kill one after the other while hits are played; each is given time to come back before its next turn."""
    killed: Counter[str] = Counter()
    for _ in range(ROUNDS):
        for name, find in victims(stack):
            if not running():
                return killed
            victim = eventually(lambda find=find: _found(find), f"{name} is there to be killed", 30)
            kill(victim)
            killed[name] += 1
            time.sleep(1.2)
    return killed


def _found(find: Callable[[], int]) -> int | None:
    try:
        return find()
    except (IndexError, KeyError):
        return None


@pytest.mark.slow
def test_every_answer_is_one_event_and_one_webhook_whoever_is_killed(stack: Stack, receiver: Receiver) -> None:
    client = Client(stack.run_info)
    urls = register(client)
    by_path = {urlsplit(url).path: url for url in urls}
    address = urlsplit(stack.run_info.url)
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for url in urls:
        waiting.put(url)
    played, never = Played(), threading.Event()
    target = (address.hostname or "", address.port or 80)
    players = [threading.Thread(target=play, args=(target, waiting, played, never)) for _ in range(PLAYERS)]
    for player in players:
        player.start()
    killed = kill_in_turn(stack, lambda: any(player.is_alive() for player in players))
    for player in players:
        player.join(180)
    assert all(killed[name] for name, _ in victims(stack)), f"killed while hits came: {dict(killed)}"
    assert len(played.statuses) == len(by_path)
    answered = {path for path, status in played.statuses.items() if status in ANSWERED}
    unanswered = {path: status for path, status in played.statuses.items() if status not in ANSWERED}
    assert len(answered) > 0.99 * len(by_path), f"too few were answered: {Counter(unanswered.values())}"

    codes = Codes(load_settings(_settings_of(stack)).code_key)
    with pymongo.MongoClient(stack.run_info.mongo_url) as mongo:
        events = mongo["telltale"]["events"]

        def seen() -> Counter[str]:
            """Counted events by the path that made them."""
            found: Counter[str] = Counter()
            for event in events.find({"c": "killed", "im": {"$exists": False}}, {"m": 1, "s": 1, "n": 1}):
                code = codes.encode(event["m"] + event["s"])
                found[f"/o/{code}.gif" if event["s"] < 4 else f"/c/{code}"] += event["n"]
            return found

        eventually(lambda: answered <= seen().keys(), "every answer is an event", 120)
        client.wait_until_stored(120)
        counted = seen()
        assert set(counted) == answered, "events are exactly the answers"
        assert set(counted.values()) == {1}, "and none is counted twice"
        assert sum(counted.values()) == len(answered)
        figures = sum(
            row[-1]
            for marker in mongo["telltale"]["batches"].find({"counts": {"$exists": True}})
            for row in marker["counts"]
        ) + sum(row["count"] for row in mongo["telltale"]["rollups"].find())
        # Where a pixel was never answered, or is stored after a click on the same message, the click says it was open.
        implied = events.count_documents({"c": "killed", "im": True, "n": True})
        assert figures == len(answered) + implied, "the counts are the events"
        ids = events.count_documents({"c": "killed", "im": {"$exists": False}})
    eventually(lambda: len(receiver.events("ibis")) >= ids, "every event's webhook has arrived", 180)
    told = receiver.events("ibis")
    assert len(told) == ids == len(answered)
    assert receiver.faults == []
    print(f"\n{len(answered)} answers = events = webhooks; unanswered {unanswered}; killed {dict(killed)}")


def _settings_of(stack: Stack) -> dict[str, str]:
    return {
        "TELLTALE_STATE_DIR": str(stack.folder.path),
        "TELLTALE_MONGO_URL": stack.run_info.mongo_url,
        "TELLTALE_REDIS_URL": stack.run_info.redis_url,
        "TELLTALE_CODE_KEY_FILE": str(stack.folder.secrets / "code_key"),
        "TELLTALE_MASTER_KEYS_FILE": str(stack.folder.secrets / "master_keys"),
    }
