"""The check of docs/receiving-queues.md in JavaScript: an hour late it still tells our messages from others."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from app.webhooks.signing import sign
from tests.samples.conftest import blocks_of

SECRET, NEW_SECRET = (
    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",
)
KEY, NEW_KEY = bytes(range(32)), bytes(range(32, 64))
BODY = '{"id":"evt_1","type":"message.clicked","data":{"job_source":"Büro – 職"}}'
CALL = """
import { readFileSync } from "node:fs";
const calls = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(calls.map((call) => isGenuine(...call))));
"""


@pytest.mark.slow
def test_the_check_in_javascript_accepts_what_is_ours_an_hour_late_and_nothing_else(node_folder: Path) -> None:
    (block,) = blocks_of("receiving-queues.md", "javascript")
    (node_folder / "check.mjs").write_text(block + CALL, encoding="utf-8")
    signed_at = int(time.time()) - 3600
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(signed_at),
        "webhook-signature": sign([NEW_KEY, KEY], "evt_1", signed_at, BODY.encode()),
    }
    calls = [
        ([SECRET], headers, BODY),
        ([SECRET, NEW_SECRET], headers, BODY),
        ([SECRET], headers, BODY + " "),
        ([SECRET], headers | {"webhook-id": "evt_2"}, BODY),
        ([SECRET], headers | {"webhook-signature": "v1,x"}, BODY),
        ([], headers, BODY),
    ]
    command = ["node", "check.mjs"]
    done = subprocess.run(
        command, cwd=node_folder, input=json.dumps(calls), capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout) == [True, True, False, False, False, False]
