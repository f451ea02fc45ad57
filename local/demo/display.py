"""What a person sees while the demo runs: a line per stage, on a terminal with a count that moves."""

from __future__ import annotations

import sys
import time


class Display:
    """One stage after the other on standard output."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._name = ""
        self._began = self._drawn = 0.0

    def begin(self, name: str) -> None:
        """A new stage."""
        self._name, self._began, self._drawn = name, time.monotonic(), 0.0
        self.update("")

    def update(self, count: str) -> None:
        """How far the stage is; drawn ten times a second at most."""
        now = time.monotonic()
        if self._terminal and now - self._drawn >= 0.1:
            self._drawn = now
            print(f"\r\033[K  … {self._name} {count}", end="", flush=True)

    def end(self, result: str, *, good: bool = True) -> None:
        """The stage is over."""
        clear = "\r\033[K" if self._terminal else ""
        seconds = time.monotonic() - self._began
        print(f"{clear}  {'✓' if good else '✗'} {self._name:<14} {result:<74} {seconds:5.1f} s", flush=True)
        self._name = ""

    def fail(self) -> None:
        """Close a stage that something broke off."""
        if self._name:
            self.end("not finished", good=False)
