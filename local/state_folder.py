"""The state folder of one copy: who may use it, where things lie in it, and what an earlier start left running."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import IO

from local import process_groups
from local.environment import make_runtime_dir
from local.stop_order import end_in_order


class FolderInUse(RuntimeError):
    """Another copy runs in this folder."""


class StateFolder:
    """One copy's folder, held by a lock from `take` until `give_back`."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.logs = self.path / "logs"
        self.secrets = self.path / "secrets"
        self.run_file = self.path / "run.json"
        self.groups_file = self.path / "processes.json"
        self._lock: IO[str] | None = None
        self._runtime_dir: Path | None = None

    def take(self) -> None:
        """Make the folder if needed and hold it.

        Raises:
            FolderInUse: somebody else holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (self.path / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            lock.close()
            raise FolderInUse(
                f"a copy is already running in {self.path} (process {owner}). Stop it, or choose another "
                "TELLTALE_STATE_DIR and TELLTALE_PORT to run two side by side."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock
        self.run_file.unlink(missing_ok=True)
        for folder in (self.logs, self.path / "nginx"):
            folder.mkdir(exist_ok=True, mode=0o700)

    def end_leftovers(self) -> bool:
        """End the processes of an earlier start that was killed; whether there were any."""
        leftovers = process_groups.remembered(self.groups_file)
        end_in_order(leftovers)
        return bool(leftovers)

    def runtime_dir(self) -> Path:
        """The folder for sockets; the same one until `give_back`."""
        if self._runtime_dir is None:
            self._runtime_dir = make_runtime_dir(self.path)
        return self._runtime_dir

    def close(self) -> None:
        """Take the sign away that a copy is ready here; does nothing in a folder that somebody else holds."""
        if self._lock is not None:
            self.run_file.unlink(missing_ok=True)

    def give_back(self) -> None:
        """Remove what only a running copy has, and let others take the folder; may be called again."""
        if self._lock is None:
            return
        self.close()
        self.groups_file.unlink(missing_ok=True)
        if self._runtime_dir is not None:
            shutil.rmtree(self._runtime_dir, ignore_errors=True)
            self._runtime_dir = None
        self._lock.close()
        self._lock = None
