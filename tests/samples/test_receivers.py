"""The receivers of docs/receiving-webhooks.md, in Python and in JavaScript, take our webhooks and no others."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.webhooks.signing import sign
from local.ports import free_port
from tests.samples.conftest import blocks_of

KEY, NEW_KEY = bytes(range(32)), bytes(range(32, 64))
SECONDS = 30.0
Post = Callable[[bytes, dict[str, str]], int]


def body_of(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


SINGLE = body_of({"id": "evt_1", "type": "message.clicked", "data": {"job_source": "Büro – 職"}})
EVENTS = [{"id": f"evt_{number}", "type": "message.opened", "data": {}} for number in (1, 2, 3)]
BATCH = body_of({"id": "bat_1", "type": "events.batch", "data": {"count": 3, "events": EVENTS}})


def signed(body: bytes, *, keys: tuple[bytes, ...] = (KEY,), ago: int = 0) -> dict[str, str]:
    webhook_id, now = json.loads(body)["id"], int(time.time()) - ago
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(keys, webhook_id, now, body),
    }


def in_python() -> tuple[Post, Callable[[], set[str]]]:
    (block,) = blocks_of("receiving-webhooks.md", "python")
    names: dict[str, Any] = {"__name__": "sample"}
    exec(compile(block, "receiving-webhooks.md", "exec"), names)
    client = names["app"].test_client()
    return lambda body, headers: client.post("/telltale", data=body, headers=headers).status_code, lambda: names["seen"]


@pytest.fixture
def javascript(node_folder: Path) -> Iterator[Post]:
    (block,) = blocks_of("receiving-webhooks.md", "javascript")
    (node_folder / "receiver.mjs").write_text(block, encoding="utf-8")
    port = free_port()
    with subprocess.Popen(["node", "receiver.mjs"], cwd=node_folder, env={**os.environ, "PORT": str(port)}) as process:
        try:
            wait_for(port, process)
            yield lambda body, headers: post(port, body, headers)
        finally:
            process.kill()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    pytest.fail("the sample did not begin to listen")


def post(port: int, body: bytes, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("POST", "/telltale", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def check(post: Post) -> None:
    """What every receiver has to answer."""
    for body in (SINGLE, SINGLE, BATCH):
        assert post(body, signed(body)) == 204
        assert post(body, signed(body, keys=(NEW_KEY, KEY))) == 204, "during a rotation both secrets sign"
    refused = {
        "changed": (SINGLE + b" ", signed(SINGLE)),
        "signed by another secret": (SINGLE, signed(SINGLE, keys=(NEW_KEY,))),
        "captured and sent again": (SINGLE, signed(SINGLE, ago=360)),
        "under another id": (SINGLE, signed(SINGLE) | {"webhook-id": "evt_2"}),
        "with a signature that is none": (SINGLE, signed(SINGLE) | {"webhook-signature": "x"}),
        "without a signature": (SINGLE, {}),
    }
    assert {why: post(*request) for why, request in refused.items()} == dict.fromkeys(refused, 401)


def test_the_receiver_in_python_takes_our_webhooks_once_and_no_others() -> None:
    post, seen = in_python()
    check(post)
    assert seen() == {"evt_1", "evt_2", "evt_3"}


@pytest.mark.slow
def test_the_receiver_in_javascript_takes_our_webhooks_and_no_others(javascript: Post) -> None:
    check(javascript)


@pytest.mark.slow
def test_the_check_in_javascript_of_what_came_by_a_queue_knows_ours_an_hour_later(node_folder: Path) -> None:
    (block,) = blocks_of("receiving-queues.md", "javascript")
    (node_folder / "queue.mjs").write_text(block, encoding="utf-8")
    late = signed(SINGLE, ago=3600)
    cases = {
        "late": (late, SINGLE),
        "rotated": (signed(SINGLE, keys=(NEW_KEY, KEY), ago=3600), SINGLE),
        "changed": (late, SINGLE + b" "),
        "another secret": (signed(SINGLE, keys=(NEW_KEY,), ago=3600), SINGLE),
        "another time": (late | {"webhook-timestamp": str(int(time.time()))}, SINGLE),
    }
    asked = json.dumps({name: [headers, body.decode()] for name, (headers, body) in cases.items()})
    program = (
        'import { isGenuine } from "./queue.mjs";'
        'const secrets = ["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="];'
        "const found = Object.entries(JSON.parse(process.argv[1])).map("
        "([name, [headers, body]]) => [name, isGenuine(secrets, headers, Buffer.from(body))]);"
        "console.log(JSON.stringify(Object.fromEntries(found)));"
    )
    command = ["node", "--input-type=module", "-e", program, asked]
    done = subprocess.run(command, cwd=node_folder, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert json.loads(done.stdout) == {name: name in ("late", "rotated") for name in cases}
