"""Runs one command of a copy to its end (the CLI, the check of the workers), until somebody gives up on it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class CommandFailed(RuntimeError):
    """The command ended with an error or did not end in time; the text has the end of what it said on stderr."""


class Command:
    """A command that runs beside us from the moment it is made."""

    def __init__(self, arguments: Sequence[str | Path], environment: Mapping[str, str], folder: Path) -> None:
        self._name = " ".join(Path(part).name for part in arguments[:6])
        self._process = subprocess.Popen(
            [str(part) for part in arguments],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Not in our group: Ctrl-C is ours to hand on.
            start_new_session=True,
        )

    def result(self, check: Callable[[], None]) -> str:
        """Wait for the end and give back stdout.

        Args:
            check: called ten times a second; what it raises ends the command and the wait.

        Raises:
            CommandFailed: its exit status is not 0.
        """
        try:
            while True:
                check()
                try:
                    output, errors = self._process.communicate(timeout=0.1)
                    break
                except subprocess.TimeoutExpired:
                    continue
        except BaseException:
            self.kill()
            raise
        if self._process.returncode != 0:
            raise CommandFailed(f"`{self._name}` failed ({self._process.returncode}):\n{(errors or output)[-2000:]}")
        return output

    def kill(self) -> None:
        """End the command if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
