"""`make run` as a person knows it: ready by itself, keeps its data, and leaves nothing behind, however it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.ports import free_port
from local.readiness import status
from local.run_file import RunInfo, read_run_info

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {
    "nginx",
    "uwsgi",
    "shipper",
    "worker-ingest",
    "worker-webhooks",
    "worker-maintenance",
    "worker-archive",
    "beat",
    "flower",
    "mongod",
    "valkey",
}


class Copy:
    """`python -m local.run` in a process of its own."""

    def __init__(self, state: Path, port: int) -> None:
        self.state = state
        self.port = port
        self._output = state.parent / "output"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TELLTALE_")}
        environment |= {"TELLTALE_STATE_DIR": str(state), "TELLTALE_PORT": str(port)}
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local.run"],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def ready(self) -> RunInfo:
        until(lambda: "Ctrl-C stops everything" in self.output or self.process.poll() is not None, 120, self)
        assert self.process.poll() is None, self.output
        return read_run_info(self.state / "run.json")

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(120)

    def left(self) -> list[str]:
        """Command lines of the processes that still have this copy's environment."""
        mark = f"TELLTALE_STATE_DIR={self.state}".encode()
        found = []
        for process in Path("/proc").iterdir():
            try:
                # Field by field: nginx writes its title over the first of them.
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue  # Not a process, or gone by now.
        return found


def until(condition: Callable[[], bool], seconds: float, copy: Copy) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in time; left: {copy.left()}; output: {copy.output}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    return tmp_path_factory.mktemp("copy") / "state", free_port()


@pytest.fixture
def start(place: tuple[Path, int]) -> Iterator[Callable[[], Copy]]:
    copies: list[Copy] = []

    def new() -> Copy:
        copies.append(Copy(*place))
        return copies[-1]

    yield new
    for copy in copies:
        if copy.process.poll() is None:
            copy.stop(signal.SIGTERM)


def authorised(info: RunInfo) -> int | None:
    key = next(iter(info.api_keys.values()))
    return status(f"{info.url}/v1/events", {"Authorization": f"Bearer {key}"})


@pytest.mark.slow
def test_first_start_second_start_and_ctrl_c(start: Callable[[], Copy], place: tuple[Path, int]) -> None:
    copy = start()
    info = copy.ready()
    assert info.pids.keys() == PROGRAMS
    assert len(info.api_keys) == 22
    assert (copy.state / "run.json").stat().st_mode & 0o777 == 0o600
    assert (status(f"{info.url}/healthz"), status(f"{info.url}/readyz"), authorised(info)) == (200, 200, 200)
    assert status(info.flower.url) == 401

    # A second copy in the same folder is told so, and the first goes on.
    other = Copy(*place)
    assert other.process.wait(30) == 1
    assert "already running" in other.output
    assert (copy.state / "run.json").exists()

    assert copy.stop(signal.SIGINT) == 0
    assert copy.left() == []
    assert not (copy.state / "run.json").exists()

    began = time.monotonic()
    again = start()
    second = again.ready()
    print(f"second start: {time.monotonic() - began:.1f} s")  # a figure to read; no timing decides a test
    assert second.api_keys == info.api_keys
    assert authorised(second) == 200, "the database still knows the keys"
    assert again.stop(signal.SIGTERM) == 0
    assert again.left() == []


@pytest.mark.slow
def test_what_dies_is_started_again_or_cleared_away_by_the_next_start(start: Callable[[], Copy]) -> None:
    copy = start()
    before = copy.ready().pids
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)

    def all_new() -> bool:
        pids = read_run_info(copy.state / "run.json").pids
        return pids.keys() == PROGRAMS and all(pids[name] != before[name] for name in PROGRAMS)

    until(all_new, 120, copy)
    info = read_run_info(copy.state / "run.json")
    until(lambda: status(f"{info.url}/readyz") == 200, 120, copy)
    until(lambda: authorised(info) == 200, 120, copy)

    # The runner and its supervisor are killed: nobody is left to stop the others.
    supervisor = json.loads((copy.state / "processes.json").read_text())["supervisord"][0]
    os.kill(copy.process.pid, signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    copy.process.wait()
    assert copy.left(), "orphans of the crash"
    again = start()
    again.ready()
    assert "cleared away" in again.output

    # The runner alone is killed: its supervisor hears of it and stops everything in order.
    again.process.kill()
    again.process.wait()
    until(lambda: not again.left(), 90, again)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["MongoDB and Valkey", "database", "web, shipper"])
def test_ctrl_c_while_starting_leaves_nothing(start: Callable[[], Copy], step: str) -> None:
    copy = start()
    # A step's line appears when the next one begins.
    done = re.compile(rf"✓ {re.escape(step)}")
    until(lambda: bool(done.search(copy.output)) or copy.process.poll() is not None, 120, copy)
    assert copy.stop(signal.SIGINT) in (0, 130)
    assert copy.left() == []
    assert not (copy.state / "run.json").exists()
