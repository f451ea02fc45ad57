"""Watches the programs of a running copy: notes every new process id, clears away what a killed one left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from local import process_groups
from local.stop_order import end_in_order
from local.supervision import NotStarted, Supervisor

_INTERVAL_SECONDS = 0.5


class Watch:
    """Looks at the programs a few times a second, from `start` until `stop`.

    Args:
        supervisor: starts what dies again; this class does what it leaves undone.
        groups_file: where the process groups are noted for the start after a crash.
        changed: called with the ids by program name whenever one has changed.
    """

    def __init__(self, supervisor: Supervisor, groups_file: Path, changed: Callable[[dict[str, int]], None]) -> None:
        self._supervisor = supervisor
        self._groups_file = groups_file
        self._changed = changed
        self._groups: dict[str, process_groups.Leader] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telltale-watch", daemon=True)
        self.supervisor_died = threading.Event()
        self._look()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; the groups seen last stay known for `end_all`."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._supervisor.alive:
            self._look()

    def end_all(self) -> None:
        """End every process group that was ever seen and still has members."""
        end_in_order(self._groups)

    @property
    def pids(self) -> dict[str, int]:
        return {name: one.pid for name, one in self._groups.items() if name != "supervisord"}

    def _run(self) -> None:
        while not self._stopping.wait(_INTERVAL_SECONDS):
            if not self._supervisor.alive:
                # Without it nothing is started again or stopped: the copy cannot go on.
                self.end_all()
                self.supervisor_died.set()
                return
            self._look()

    def _look(self) -> None:
        groups = self._supervisor.leaders()
        if len(groups) <= 1 and len(self._groups) > 1 and not self._supervisor.ready():
            return  # No answer is not the same as "nothing runs".
        gone = [one for name, one in self._groups.items() if groups.get(name) != one]
        for one in gone:
            process_groups.kill_orphans(one)
        if groups != self._groups:
            self._groups = groups
            process_groups.remember(self._groups_file, groups)
            self._changed(self.pids)
        for program in self._supervisor.programs().values():
            if program.state == "FATAL" and not self._stopping.is_set():
                # supervisord gave up; what it waited for may be back tomorrow. If not: the next look tries again.
                with suppress(NotStarted):
                    self._supervisor.start([program.name])
