"""A broker of the test's own, that may be stalled and killed, and Celery processes as they run in production."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.settings import Settings, load_settings
from local.servers import Server, start_redis

ROOT = Path(__file__).parents[3]


def eventually(claim: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether a claim comes true within a deadline."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if claim():
            return True
        time.sleep(0.05)
    return claim()


@dataclass
class OwnBroker:
    """A Valkey that only this test uses."""

    server: Server

    @property
    def url(self) -> str:
        return self.server.url

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """It accepts connections and answers nothing."""
        os.kill(self.server.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.server.pid, signal.SIGCONT)

    def kill(self) -> None:
        self.server.kill()

    def restart(self) -> None:
        self.server = start_redis(self.server.folder, self.server.port)


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[OwnBroker]:
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = OwnBroker(start_redis(folder))
    yield broker
    broker.server.stop()


@pytest.fixture
def own_environment(environment: dict[str, str], own_broker: OwnBroker) -> dict[str, str]:
    """Numbers, locks and queues on the test's own Valkey; the cache stays on the shared one."""
    Path(environment["TELLTALE_STATE_DIR"]).mkdir(parents=True, exist_ok=True)
    return {
        **environment,
        "TELLTALE_REDIS_URL": own_broker.url,
        "TELLTALE_CACHE_URL": environment["TELLTALE_REDIS_URL"],
    }


@pytest.fixture
def own_settings(own_environment: dict[str, str]) -> Settings:
    return load_settings(own_environment)


class Celery:
    """A `celery` process with its output in a file."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


@pytest.fixture
def start_celery(own_environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Celery]]:
    """Start `celery -A tests.integration.ops.probe_app …`; stopped after the test."""
    started: list[Celery] = []

    def start(*arguments: str, environment: Mapping[str, str] | None = None) -> Celery:
        log = tmp_path / f"celery-{len(started)}.log"
        command = [sys.executable, "-m", "celery", "-A", "tests.integration.ops.probe_app", *arguments]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={"PATH": os.defpath, **(own_environment if environment is None else environment)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(Celery(process, log))
        return started[-1]

    yield start
    for celery in started:
        celery.stop()
