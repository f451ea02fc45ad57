"""`flask webhooks listen` as a stranger runs it: a real process, with nothing in its environment."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.commands import create_app
from app.webhooks.signing import sign

ROOT = Path(__file__).parents[3]
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
KEY = bytes(range(32))
BODY = b'{"id":"evt_1","type":"endpoint.test","timestamp":"2026-01-01T00:00:00.000Z","data":{}}'


@contextmanager
def listening(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-m", "flask", "--app", "app.commands", "webhooks", "listen", "--port", "0", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            yield process, int(said.split("127.0.0.1:")[1].split("/")[0])
        finally:
            process.kill()


def post(port: int, body: bytes = BODY, *, key: bytes = KEY) -> int:
    now = int(time.time())
    headers = {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(now),
        "Webhook-Signature": sign([key], "evt_1", now, body),
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/any", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_it_prints_what_verifies_and_says_clearly_what_does_not(tmp_path: Path) -> None:
    with listening(tmp_path, "--secret", SECRET, "--status", "503") as (process, port):
        assert process.stdout is not None
        assert post(port) == 503
        assert process.stdout.readline().endswith("1 signature  verified\n")
        assert "endpoint.test  evt_1" in process.stdout.readline()
        assert post(port, key=bytes(32)) == 401
        assert "DOES NOT VERIFY: no signature matches" in process.stdout.readline()


def test_a_secret_that_is_none_is_refused_without_quoting_it() -> None:
    done = create_app().test_cli_runner().invoke(args=["webhooks", "listen", "--secret", "hush-hush"])
    assert done.exit_code == 2
    assert "must begin with whsec_" in done.output
    assert "hush-hush" not in done.output
