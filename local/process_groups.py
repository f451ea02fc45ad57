"""Process groups of a copy: who is still in one, and ending them.

supervisord makes every program the leader of a group. A leader that was killed leaves its children behind
(nginx's hold the port, Celery's go on working), and a copy whose supervisord was killed leaves everything.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from local.secret_files import write_private


@dataclass(frozen=True, slots=True)
class Leader:
    """A program's first process. Its start time tells it from a later process with the same id."""

    pid: int
    started: int


def leader(pid: int) -> Leader | None:
    """What runs under this id now; `None` when nothing does."""
    stat = _stat(pid)
    return None if stat is None else Leader(pid, stat.started)


def members(of: Leader) -> list[int]:
    """The processes of the leader's group, itself included; empty when the id belongs to somebody else by now.

    While a group has members its id is not given to a new process, so a group without its leader is still ours.
    """
    now = _stat(of.pid)
    if now is not None and now.started != of.started:
        return []
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in pids if (stat := _stat(pid)) is not None and stat.group == of.pid and stat.state != "Z"]


def end(leaders: list[Leader], timeout_seconds: float) -> None:
    """End these groups and wait until all are gone: TERM to the leaders, KILL to whatever is left after the time.

    What has lost its leader is killed at once: nobody tells it in which order to stop.
    """
    for one in leaders:
        if leader(one.pid) == one:
            _signal(one.pid, signal.SIGTERM)
        else:
            kill_orphans(one)
    if not _gone(leaders, timeout_seconds):
        for one in leaders:
            for pid in members(one):
                _signal(pid, signal.SIGKILL)
        _gone(leaders, 5.0)


def kill_orphans(of: Leader) -> None:
    """Kill what a dead leader left behind, so that its successor finds the port free."""
    if leader(of.pid) != of:
        for pid in members(of):
            _signal(pid, signal.SIGKILL)


def remember(path: Path, leaders: Mapping[str, Leader]) -> None:
    """Note the groups of a copy for the start after a crash."""
    write_private(path, json.dumps({name: [one.pid, one.started] for name, one in leaders.items()}) + "\n")


def remembered(path: Path) -> dict[str, Leader]:
    """The groups of an earlier start that have members still."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        leaders = {str(name): Leader(int(pid), int(started)) for name, (pid, started) in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return {name: one for name, one in leaders.items() if members(one)}


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    group: int
    started: int


def _stat(pid: int) -> _Stat | None:
    """The fields of proc_pid_stat(5) that we need; `None` for a process that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name, in parentheses, may hold anything; after it come state (3), ppid, pgrp (5), …, starttime (22).
    fields = text.rpartition(")")[2].split()
    return _Stat(state=fields[0], group=int(fields[2]), started=int(fields[19]))


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _gone(leaders: list[Leader], timeout_seconds: float) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while any(members(one) for one in leaders):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
