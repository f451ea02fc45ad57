"""Nothing personal in the clear: marked people go through every path, and then every place of the copy is searched.

A mark may stand in what the API answers its own brand and in webhooks, and nowhere else but as ciphertext. Of the
MongoDB data files only what compression left readable is seen; each document is searched as BSON besides.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from local.stack import Stack
from tests.end_to_end import places
from tests.end_to_end.client import Client, eventually
from tests.end_to_end.marks import Marks, look
from tests.end_to_end.personal_story import CAMPAIGN, Story
from tests.end_to_end.receiver import Receiver

WORKERS = ("worker-ingest", "worker-webhooks")
Leaks = dict[str, list[str]]


@dataclass
class Told:
    """The story once it is over: everything is ingested, delivered or was tried more than once."""

    story: Story
    marks: Marks
    queued: list[tuple[str, bytes]] = field(default_factory=list)
    """What was in Valkey while no worker took tasks from the queues."""
    commands: list[tuple[str, bytes]] = field(default_factory=list)
    """Everything that was ever said to Valkey meanwhile."""


@contextmanager
def stopped_workers(stack: Stack) -> Iterator[None]:
    supervisor = stack._supervisor
    assert supervisor is not None
    assert supervisor.stop(WORKERS, 60.0)
    try:
        yield
    finally:
        supervisor.start(WORKERS)


@contextmanager
def every_operation_logged(database: Database[Any]) -> Iterator[None]:
    """MongoDB logs slow operations with their values. Now all are slow, as they may be on a bad day."""
    usual = database.command("profile", -1)["slowms"]
    database.command("profile", 0, slowms=-1)
    try:
        yield
    finally:
        database.command("profile", 0, slowms=usual)


@pytest.fixture(scope="module")
def told(stack: Stack, client: Client, receiver: Receiver, database: Database[Any]) -> Told:
    marks = Marks()
    told = Told(Story(client, receiver, marks), marks)
    tried: set[bytes] = set()

    def refuse_first(body: bytes) -> tuple[int, bytes]:
        # Every other one: were all refused, the endpoint's breaker would open.
        first = body not in tried and len(tried) % 2 == 0
        tried.add(body)
        return (500, b"cannot take " + body) if first else (204, b"")

    receiver.respond("ibis", refuse_first)
    receiver.respond("jackdaw", lambda body: (500, b"cannot take " + body))
    redis_url = stack.run_info.redis_url
    with places.ValkeyMonitor(redis_url) as monitor, every_operation_logged(database):
        with stopped_workers(stack):
            told.story.play()
            eventually(lambda: _waiting(redis_url, "ingest") and _waiting(redis_url, "webhooks"), "tasks wait")
            told.queued = list(places.valkey(redis_url))
        _wait_until_told(told, client, database)
        told.commands = list(monitor.commands())
    receiver.respond("ibis", None)
    receiver.respond("jackdaw", None)
    database.client.admin.command("fsync")  # a checkpoint: what is in memory goes to the data files
    return told


def _waiting(redis_url: str, queue: str) -> int:
    with places.valkey_database(redis_url, 1) as broker:
        return int(broker.llen(f"telltale:q:{queue}"))


def _wait_until_told(told: Told, client: Client, database: Database[Any]) -> None:
    events, deliveries = database["events"], database["deliveries"]
    # Without what is concluded of hits: corrections (5), and opens that a click tells of.
    done = {"c": CAMPAIGN, "k": {"$ne": 5}, "im": {"$exists": False}}
    eventually(lambda: events.count_documents(done) >= told.story.events, "events are stored", 90)
    client.wait_until_stored()
    assert events.count_documents(done) == told.story.events
    good = {"endpoint_id": {"$in": ["heron", "ibis"]}, "state": "pending"}
    eventually(lambda: not deliveries.count_documents(good), "webhooks are delivered", 90)
    for endpoint in ("jackdaw", "jackdaw-away"):
        tried = {"endpoint_id": endpoint, "attempts": {"$gte": 2}}
        eventually(lambda tried=tried: deliveries.count_documents(tried), f"{endpoint} is tried again", 90)


def test_the_brand_itself_gets_every_mark(told: Told, receiver: Receiver) -> None:
    """So the marks did go through, and what was sealed can be opened."""
    answers = b"\n".join(told.story.told_to_brands)
    for where in ("heron1", "idheron1", "nameibis2", "metajd", "metakey", "linkname", "linkpath", "hookquery", "html"):
        assert told.marks.word(where).encode().lower() in answers.lower(), where
    assert told.marks.phone(3).encode() in answers
    assert not receiver.faults
    for name, where in (("heron", "heron1@"), ("ibis", "idibis1"), ("ibis-api", "ibis2@"), ("jackdaw", "metajd")):
        bodies = b"\n".join(webhook.body for webhook in receiver.received(name))
        assert told.marks.word(where).encode() in bodies, (name, where)
    statuses = [webhook.status for webhook in receiver.received("ibis")]
    assert 500 in statuses
    assert 204 in statuses


def test_no_url_or_header_that_we_make_names_a_person(told: Told) -> None:
    assert len(told.story.urls) > 50
    assert look([("url", url.encode()) for url in told.story.urls], told.marks) == {}


def test_nobody_else_is_told_of_a_person(told: Told) -> None:
    """Pixels, pages, 404s, refused calls: none repeats what was sent."""
    assert len(told.story.told_to_others) > 100
    assert look(told.story.told_to_others, told.marks) == {}


def test_no_task_and_no_key_in_valkey_names_a_person(told: Told, stack: Stack) -> None:
    assert any("telltale:q:ingest" in name for name, _ in told.queued)
    assert any("telltale:block:" in name for name, _ in places.valkey(stack.run_info.redis_url))
    assert any(b"webhooks.deliver_endpoint" in command for _, command in told.commands)
    assert look(told.queued, told.marks) == {}
    assert look(told.commands, told.marks) == {}
    assert look(places.valkey(stack.run_info.redis_url), told.marks) == {}


def test_no_log_no_journal_line_and_no_other_file_names_a_person(told: Told, stack: Stack) -> None:
    found = dict(places.files(stack.folder.path))
    for name in ("logs/uwsgi.log", "logs/mongod.log", "logs/worker-webhooks.log", "logs/supervisord.log", "run.json"):
        assert name in found
    assert b'"Slow query"' in found["logs/mongod.log"]
    journal = b"".join(text for name, text in found.items() if name.startswith("journal/"))
    assert journal.count(b"\n") >= told.story.events - len(told.story.messages)
    assert b'"q":"campaign=spring"' in journal
    assert b'"x":{"purpose":"prefetch"}' in journal
    assert look(found.items(), told.marks) == {}


def test_no_document_in_mongodb_names_a_person(told: Told, stack: Stack, database: Database[Any]) -> None:
    names = {name for name, _ in places.mongodb(stack.run_info.mongo_url)}
    for collection in ("blocks", "messages", "events", "deliveries", "endpoints", "idempotency", "suppressions"):
        assert f"mongodb {database.name}.{collection}" in names
    assert "mongodb local.oplog.rs" in names
    assert look(places.mongodb(stack.run_info.mongo_url), told.marks) == {}


def test_no_data_file_of_mongodb_shows_a_person(told: Told, stack: Stack) -> None:
    assert look(places.mongod_files(stack.folder.path), told.marks, flat=True) == {}


def test_neither_metrics_nor_flower_nor_the_process_list_name_a_person(told: Told, stack: Stack) -> None:
    token = (stack.folder.secrets / "metrics_token").read_text(encoding="ascii").strip()
    found = [*places.metrics(stack.run_info, token), *places.flower(stack.run_info), *places.processes(stack.run_info)]
    text = b"".join(data for _, data in found)
    assert b"telltale_hits_total" in text
    assert b"webhooks.deliver_endpoint" in text
    assert look(found, told.marks) == {}


def test_a_body_on_its_way_lies_in_no_temporary_file(client: Client, stack: Stack) -> None:
    """As large as nginx lets it be, and slow: that is when nginx would put it aside."""
    marks, size = Marks(), 60_000
    head = f"POST /u/unknown HTTP/1.1\r\nHost: t.heron.example\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    body = marks.address("slow").encode() * size
    with client.connect() as connection:
        connection.sendall(head.encode() + body[: size - 2])
        # What came first has been dealt with when the next byte is taken: nginx does one thing after another.
        eventually(lambda: not _unread(connection), "nginx has read it")
        connection.sendall(body[size - 2 : size - 1])
        eventually(lambda: not _unread(connection), "nginx has read one more byte")
        found = look([*places.files(stack.folder.path), *places.nameless_files(stack.run_info)], marks)
        connection.sendall(body[size - 1 : size])
        assert connection.recv(65_536).startswith(b"HTTP/1.1 404 ")
    assert found == {}


def _unread(connection: socket.socket) -> int:
    """How many bytes the other side's program has not taken from its socket yet (proc_pid_net(5), tcp)."""
    ours, theirs = (f":{name[1]:04X}" for name in (connection.getsockname(), connection.getpeername()))
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines():
        _, local, remote, _, queues, *_ = line.split()
        if local.endswith(theirs) and remote.endswith(ours):
            return int(queues.partition(":")[2], 16)
    raise AssertionError("the connection is gone")
