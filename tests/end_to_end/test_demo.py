"""`make demo` itself: right figures end with 0, a step broken on purpose ends with 1, and nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.demo.mailings import BRANDS
from local.environment import REPOSITORY
from local.ports import free_port
from local.stack import Stack
from tests.end_to_end.client import Client

SECONDS = 200
"""Longer than any demo takes on a busy machine: its own deadlines come first."""
OWN_STORES = {"TELLTALE_MONGO_URL": "", "TELLTALE_REDIS_URL": ""}


@pytest.fixture
def sample_copy(tmp_path: Path) -> Iterator[Stack]:
    """A running copy with the sample brands."""
    # What is lost on the way comes again after seconds, so that a demo may soon give up what was never sent.
    sooner = {"TELLTALE_RESHIP_AFTER_SECONDS": "4", "TELLTALE_WEBHOOK_DELAY_FACTOR": "0.1"}
    stack = Stack(tmp_path / "state", free_port(), extra_env=OWN_STORES | sooner)
    stack.start()
    yield stack
    stack.stop()


def start_demo(state_dir: Path, *options: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "local.demo", *options],
        cwd=REPOSITORY,
        env={**os.environ, **OWN_STORES, "TELLTALE_STATE_DIR": str(state_dir), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(demo: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and everything it printed."""
    try:
        output, _ = demo.communicate(timeout=SECONDS)
    finally:
        if demo.poll() is None:
            demo.terminate()
            demo.communicate(timeout=60)
    return demo.returncode, output


def table_rows(output: str) -> list[str]:
    """The last word of each row of the table: four that are planned for each brand, and one for its corrections."""
    rows = [words for line in output.splitlines() if (words := line.split()) and words[-1] in ("ok", "MISMATCH")]
    assert sum("reclassified" not in words for words in rows) == 4 * len(BRANDS), output
    assert 1 <= sum("reclassified" in words for words in rows) <= len(BRANDS), output
    return [words[-1] for words in rows]


def test_demo_exits_0_and_with_1_when_a_step_is_broken(sample_copy: Stack) -> None:
    """Three demos at once against one copy, so that they also show not to disturb each other."""
    demos = {
        step: start_demo(
            sample_copy.folder.path, "--wait", "150", *(["--break", step, "--quiet", "20"] if step else [])
        )
        for step in ("", "drop-hit", "drop-webhook")
    }
    results = {step: ended(demo) for step, demo in demos.items()}

    assert {step: code for step, (code, _) in results.items()} == {"": 0, "drop-hit": 1, "drop-webhook": 1}, results
    for step, (_, output) in results.items():
        rows = table_rows(output)
        assert rows.count("MISMATCH") == (1 if step else 0), output
        assert f"the copy at {sample_copy.url}" in output
    client = Client(sample_copy.run_info)
    for brand in BRANDS:
        assert client.api("GET", "/v1/endpoints", brand).json() == {"endpoints": []}, "a demo left an endpoint behind"


def test_demo_without_a_running_copy_starts_one_and_leaves_nothing_behind(tmp_path: Path) -> None:
    # Short: sockets lie in there, and their paths may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="tt-") as temp:
        code, output = ended(start_demo(tmp_path, environment={"TMPDIR": temp}))
        assert code == 0, output
        assert set(table_rows(output)) == {"ok"}
        assert list(Path(temp).iterdir()) == []
        running = [command for command in command_lines() if temp in command]
        assert running == []
    assert list(tmp_path.iterdir()) == []


def command_lines() -> list[str]:
    """Of every process on the machine."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue  # it ended while we looked
    return found
