"""Talks to the supervisord of one copy: start it, start and stop its programs, ask how they are.

The programs stand in `config/supervisord.conf`; `stack.py` decides on their order.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.environment import REPOSITORY
from local.process_groups import Leader, leader

# What the connection raises while supervisord starts, stops or is gone.
_UNREACHABLE = (OSError, http.client.HTTPException, xmlrpc.client.Error)


class NotStarted(RuntimeError):
    """supervisord did not take the order to start a program."""


_ALIVE = frozenset({"STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED"})
"""EXITED too: it is about to be started again."""


@dataclass(frozen=True, slots=True)
class Program:
    """State of one program, in supervisord's words: STOPPED STARTING RUNNING BACKOFF STOPPING EXITED FATAL."""

    name: str
    state: str
    pid: int | None
    log: Path


class Supervisor:
    """One supervisord, our child."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._socket = Path(environment["TELLTALE_RUNTIME_DIR"]) / "supervisor.sock"
        self._log = Path(environment["TELLTALE_STATE_DIR"]) / "logs" / "supervisord.out"
        # supervisord wants to be told that root is meant.
        user = ["--user", "root"] if os.geteuid() == 0 else []
        command = [sys.executable, "-m", "local.leash", "-c", str(REPOSITORY / "config" / "supervisord.conf"), *user]
        with self._log.open("ab") as output:
            # A session of its own: Ctrl-C reaches us alone, and we stop the programs in order.
            self._process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.leader = leader(self._process.pid)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ready(self) -> bool:
        """Whether it takes orders already."""
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except _UNREACHABLE:
            return False

    def programs(self) -> dict[str, Program]:
        """Every program by name; empty when supervisord does not answer."""
        try:
            rows = self._call("getAllProcessInfo")
        except _UNREACHABLE:
            return {}
        return {
            row["name"]: Program(row["name"], row["statename"], row["pid"] or None, Path(row["stdout_logfile"]))
            for row in rows
        }

    def leaders(self) -> dict[str, Leader]:
        """The process groups that run now, supervisord's own among them."""
        pids = {name: program.pid for name, program in self.programs().items() if program.pid}
        found = {name: one for name, pid in pids.items() if (one := leader(pid)) is not None}
        return {**found, "supervisord": self.leader} if self.leader else found

    def start(self, names: Iterable[str]) -> None:
        """Order these programs to start; returns at once.

        Raises:
            NotStarted: a program's file is missing, it runs already, or supervisord does not answer.
        """
        for name in names:
            try:
                self._call("startProcess", name, False)
            except _UNREACHABLE as error:
                raise NotStarted(f"{name} cannot be started: {error}") from error

    def stop(self, names: Iterable[str], timeout_seconds: float) -> bool:
        """Stop these programs at the same time; whether all ended in time."""
        wanted = set(names)
        deadline = time.monotonic() + timeout_seconds
        while running := [one for name, one in self.programs().items() if name in wanted and one.state in _ALIVE]:
            if time.monotonic() > deadline:
                return False
            # Said again until it is so: a program that has just died does not take the order, and is started anew.
            for program in running:
                if program.state != "STOPPING":
                    with suppress(*_UNREACHABLE):
                        self._call("stopProcess", program.name, False)
            time.sleep(0.05)
        return True

    def shut_down(self, timeout_seconds: float) -> None:
        """End supervisord, which stops what still runs; KILL when it does not end in time."""
        if self.alive:
            self._process.terminate()
            try:
                self._process.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait(10)

    def output(self) -> str:
        """What supervisord said about itself, when it could not start."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def _call(self, method: str, *arguments: Any) -> Any:
        # A connection for each call: several threads ask, and supervisord may be gone at any time.
        transport = _UnixTransport(self._socket)
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport, allow_none=True) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over a unix socket with a time limit, which supervisor's own client lacks."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path)
        # Where the base class looks for what it has to close.
        self._connection = host, connection
        return connection


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
