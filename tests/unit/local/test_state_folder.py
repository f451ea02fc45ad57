"""One copy per state folder; what a killed copy left running is ended by the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local import process_groups
from local.process_groups import Leader, leader, members
from local.run_file import Login, RunInfo, read_run_info
from local.state_folder import FolderInUse, StateFolder

INFO = RunInfo(
    url="http://127.0.0.1:8080",
    api_keys={"oak": "key"},
    flower=Login("http://127.0.0.1:5555", "telltale", "word"),
    dashboard=None,
    mongo_url="mongodb://127.0.0.1:1",
    redis_url="redis://127.0.0.1:2",
    journal_dir="/var/journal",
    pids={"nginx": 1},
)

# A leader with one child that ignores TERM; says so when both stand.
FAMILY = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"])
time.sleep(600)
"""


def _family() -> tuple[subprocess.Popen[bytes], Leader]:
    process = subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.stdout.close()
    found = leader(process.pid)
    assert found is not None
    assert len(members(found)) == 2
    return process, found


def test_a_folder_is_held_by_one_copy_at_a_time(tmp_path: Path) -> None:
    first, second = StateFolder(tmp_path), StateFolder(tmp_path)
    first.take()
    with pytest.raises(FolderInUse, match=rf"already running in .* \(process {os.getpid()}\)"):
        second.take()
    first.give_back()
    second.take()
    second.give_back()


def test_a_refused_copy_leaves_the_sign_of_the_running_one(tmp_path: Path) -> None:
    first, second = StateFolder(tmp_path), StateFolder(tmp_path)
    first.take()
    INFO.write(first.run_file)
    with pytest.raises(FolderInUse):
        second.take()
    second.close()
    second.give_back()
    assert first.run_file.exists()
    first.give_back()
    assert not first.run_file.exists()


def test_run_file_is_for_its_owner_only_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    INFO.write(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_run_info(path) == INFO


def test_keys_and_passwords_are_not_shown_by_repr() -> None:
    assert "key" not in repr(INFO).replace("api_keys", "")
    assert "word" not in repr(INFO.flower).replace("password", "")


def test_the_next_start_ends_what_a_killed_one_left(tmp_path: Path) -> None:
    process, one = _family()
    folder = StateFolder(tmp_path)
    process_groups.remember(folder.groups_file, {"worker-ingest": one})
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(members(one)) == 1, "the child outlives its parent"
    folder.take()
    assert folder.end_leftovers()
    assert members(one) == []
    folder.give_back()


def test_a_group_that_ignores_term_is_killed() -> None:
    process, one = _family()
    began = time.monotonic()
    process_groups.end([one], timeout_seconds=0.5)
    process.wait(5)
    assert members(one) == []
    assert time.monotonic() - began < 5


def test_orphans_are_killed_only_after_their_leader_died() -> None:
    process, one = _family()
    process_groups.kill_orphans(one)
    assert len(members(one)) == 2
    process.kill()
    process.wait()
    process_groups.kill_orphans(one)
    deadline = time.monotonic() + 5
    while members(one) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert members(one) == []


def test_a_process_that_got_the_id_later_is_left_alone(tmp_path: Path) -> None:
    process, one = _family()
    earlier = Leader(one.pid, one.started - 1)
    assert members(earlier) == []
    path = tmp_path / "processes.json"
    process_groups.remember(path, {"nginx": earlier})
    assert process_groups.remembered(path) == {}
    process_groups.end([earlier], timeout_seconds=0.1)
    assert len(members(one)) == 2
    process_groups.end([one], timeout_seconds=0.1)
    process.wait(5)


@pytest.mark.parametrize("content", ["", "[]", '{"nginx": 5}', '{"nginx": ["a", "b"]}'])
def test_a_spoiled_note_of_processes_ends_nothing(tmp_path: Path, content: str) -> None:
    path = tmp_path / "processes.json"
    path.write_text(content)
    assert process_groups.remembered(path) == {}
