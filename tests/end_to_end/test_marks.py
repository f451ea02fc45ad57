"""The search for personal data finds what it is to find: each wrapping, and each place of a running copy."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import pytest
import redis
import zstandard
from celery import Celery
from pymongo.database import Database

from config.celery import celery_settings
from config.queues import TaskName
from config.settings import load_settings
from local.stack import Stack
from tests.conftest import CODE_KEY, MASTER_KEYS
from tests.end_to_end import places
from tests.end_to_end.client import eventually
from tests.end_to_end.marks import Marks, look

Wrap = Callable[[bytes], bytes]

WRAPPINGS: dict[str, Wrap] = {
    "as it is": bytes,
    "upper case": bytes.upper,
    "percent-encoded": lambda text: quote(text, safe="").encode(),
    "every byte percent-encoded": lambda text: "".join(f"%{byte:02X}" for byte in text).encode(),
    "in JSON": lambda text: json.dumps({"who": text.decode()}).encode(),
    "as JSON escapes": lambda text: "".join(f"\\u{byte:04x}" for byte in text).encode(),
    "in JSON in JSON": lambda text: json.dumps(json.dumps('"' + text.decode())).encode(),
    "hex": lambda text: text.hex().encode(),
    "base64": base64.b64encode,
    "base64, one byte on": lambda text: base64.b64encode(b"x" + text),
    "base64, two bytes on": lambda text: base64.b64encode(b"xy" + text + b"z"),
    "base64url": lambda text: base64.urlsafe_b64encode(b"\xff\xfe\xfb" + text).rstrip(b"="),
    "base64 of base64": lambda text: base64.b64encode(b'["' + base64.b64encode(b"a" + text) + b'"]'),
    "base64 of zstd": lambda text: base64.b64encode(zstandard.compress(b"line of " + text)),
    "zlib": lambda text: zlib.compress(text * 5),
    "gzip": lambda text: gzip.compress(text),
    "UTF-16": lambda text: text.decode().encode("utf-16-le"),
    "SHA-256": lambda text: hashlib.sha256(text).digest(),
    "SHA-256 in hex": lambda text: hashlib.sha256(text).hexdigest().encode(),
    "MD5 in hex": lambda text: hashlib.md5(text).hexdigest().encode(),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_mark_is_found_however_it_is_wrapped(wrapping: str) -> None:
    marks = Marks()
    for text in (marks.address("one"), marks.phone(1)):
        wrapped = WRAPPINGS[wrapping](text.encode())
        assert marks.find(b"\x00before=" + wrapped + b"&after\xff"), wrapped
        assert not Marks().find(b"\x00before=" + wrapped + b"&after\xff")


@pytest.fixture
def undo() -> Iterator[ExitStack]:
    with ExitStack() as undo:
        yield undo


def test_a_mark_is_found_in_every_file(stack: Stack, undo: ExitStack) -> None:
    marks, state = Marks(), stack.folder.path
    assert look(places.files(state), marks) == {}
    planted = ("logs/planted.log", "journal/planted", "nginx/temp/body/0000000001", "shipper/x", "run/metrics/x.db")
    for name in planted:
        (state / name).parent.mkdir(exist_ok=True)
        undo.callback((state / name).unlink)
        (state / name).write_bytes(b"\0" * 100_000 + WRAPPINGS["base64"](marks.address("file").encode()))
    assert sorted(look(places.files(state), marks)) == sorted(planted)


def test_a_mark_is_found_in_valkey_whatever_the_type(stack: Stack, undo: ExitStack) -> None:
    marks, url = Marks(), stack.run_info.redis_url
    word = marks.word("key")
    plant: dict[str, Callable[[redis.Redis, str], Any]] = {
        "string": lambda client, key: client.set(key, word),
        "list": lambda client, key: client.rpush(key, "x", word),
        "set": lambda client, key: client.sadd(key, word),
        "zset": lambda client, key: client.zadd(key, {word: 1}),
        "hash": lambda client, key: client.hset(key, "field", word),
        "stream": lambda client, key: client.xadd(key, {"field": word}),
    }
    for number in (0, 1, 2, 15):
        client = undo.enter_context(places.valkey_database(url, number))
        for kind, write in plant.items():
            undo.callback(client.delete, f"planted:{kind}")
            write(client, f"planted:{kind}")
    found = look(places.valkey(url), marks)
    assert len(found) == 4 * len(plant), found


def test_a_mark_is_found_in_mongodb_also_when_it_is_gone_again(
    stack: Stack, database: Database[Any], undo: ExitStack
) -> None:
    marks, url = Marks(), stack.run_info.mongo_url
    scratch = database.client["scratch"]
    undo.callback(database.client.drop_database, "scratch")
    scratch["people"].insert_one({"deep": [{"name": marks.word("stays").encode()}]})
    database.client.admin.command("fsync")
    assert look(places.mongod_files(stack.folder.path), marks, flat=True)
    assert set(look(places.mongodb(url), marks)) == {"mongodb scratch.people", "mongodb local.oplog.rs"}
    gone = Marks()
    scratch["people"].insert_one({"_id": 1, "name": gone.word("goes")})
    scratch["people"].delete_one({"_id": 1})
    assert set(look(places.mongodb(url), gone)) == {"mongodb local.oplog.rs"}


def test_a_mark_in_a_tasks_arguments_is_found_on_its_way_in_flower_and_in_what_it_leaves(
    stack: Stack, database: Database[Any], undo: ExitStack
) -> None:
    """A task as it must never be sent: readable arguments that its worker logs and stores."""
    marks, info = Marks(), stack.run_info
    word = marks.word("argument")
    environment = {
        "TELLTALE_MONGO_URL": info.mongo_url,
        "TELLTALE_REDIS_URL": info.redis_url,
        "TELLTALE_BROKER_URL": info.redis_url.removesuffix("/0") + "/1",
        "TELLTALE_CODE_KEY": CODE_KEY,
        "TELLTALE_MASTER_KEYS": MASTER_KEYS,
    }
    app = Celery("planted", set_as_current=False, changes=celery_settings(load_settings(environment), web=True))
    undo.callback(app.close)
    undo.callback(database["endpoint_turns"].delete_many, {"_id": {"$regex": word}})
    with places.ValkeyMonitor(info.redis_url) as monitor:
        app.send_task(TaskName.DELIVER_ENDPOINT.value, args=[word, word])
        eventually(lambda: look(places.flower(info), marks), "Flower shows the arguments")
        assert look(monitor.commands(), marks)
    log = stack.folder.logs / "worker-webhooks.log"
    eventually(lambda: marks.find(log.read_bytes()), "the worker's log has it")
    assert "logs/worker-webhooks.log" in look(places.files(stack.folder.path), marks)
