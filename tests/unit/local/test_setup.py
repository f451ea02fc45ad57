"""Set-up: once per change of the requirements, and in clear words when it cannot."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from local import setup
from local.setup import DEVELOPMENT, RUNTIME

ROOT = Path(__file__).resolve().parents[3]


def test_stamp_changes_with_requirements_and_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    for name in DEVELOPMENT:
        (tmp_path / name).write_text(name)
    runtime, development = setup._stamp_of(RUNTIME), setup._stamp_of(DEVELOPMENT)
    assert runtime != development
    assert setup._stamp_of(RUNTIME) == runtime
    (tmp_path / RUNTIME[0]).write_text("changed")
    changed = setup._stamp_of(RUNTIME)
    assert changed != runtime
    monkeypatch.setattr(setup, "VENV", tmp_path / "elsewhere")
    assert setup._stamp_of(RUNTIME) != changed


def test_a_python_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "OLDEST", (3, 99))
    with pytest.raises(setup.SetupFailed, match=r"needs Python 3\.99 or newer, and this is 3\."):
        setup._check_machine()


def test_an_environment_that_does_not_work_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "VENV", tmp_path)
    assert not setup._venv_is_ours()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    assert not setup._venv_is_ours(), "another environment's interpreter"


@pytest.mark.parametrize("name", DEVELOPMENT)
def test_every_requirement_is_pinned_with_hashes(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._\[\],-]+==\S+", entry), entry[:60]
        assert "--hash=sha256:" in entry, entry[:60]


def test_make_help_lists_every_target_of_the_issue() -> None:
    done = subprocess.run(["make", "-C", str(ROOT), "help"], capture_output=True, text=True, timeout=30, check=True)
    listed = re.findall(r"^  ([a-z-]+) +\S", done.stdout, re.MULTILINE)
    wanted = {"help", "setup", "run", "demo", "test", "lint", "lock", "bench", "bench-front", "bench-ingest", "clean"}
    assert wanted <= set(listed)
