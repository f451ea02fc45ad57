"""A line per step with its time; on a terminal the step under way is shown with a moving mark."""

from __future__ import annotations

import sys
import threading
import time


class Progress:
    """Shows steps one after the other on standard output."""

    def __init__(self) -> None:
        self._began = self._step_began = time.monotonic()
        self._name = ""
        self._terminal = sys.stdout.isatty()
        self._ended = threading.Event()
        self._printing = threading.Lock()
        if self._terminal:
            threading.Thread(target=self._spin, daemon=True).start()

    def step(self, name: str) -> None:
        """Finish the step before and begin this one."""
        with self._printing:
            self._finish("✓")
            self._name, self._step_began = name, time.monotonic()

    def end(self, word: str) -> None:
        """Finish the last step and say how it all went."""
        self._ended.set()
        with self._printing:
            self._finish("✓" if word == "ready" else "✗")
            print(f"  {word} after {time.monotonic() - self._began:.1f} s", flush=True)

    def _finish(self, mark: str) -> None:
        if self._name:
            clear = "\r\033[K" if self._terminal else ""
            print(f"{clear}  {mark} {self._name:<48} {time.monotonic() - self._step_began:5.1f} s", flush=True)
            self._name = ""

    def _spin(self) -> None:
        marks = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
        count = 0
        while not self._ended.wait(0.1):
            with self._printing:
                if self._name and not self._ended.is_set():
                    seconds = time.monotonic() - self._step_began
                    print(f"\r\033[K  {marks[count % len(marks)]} {self._name} … {seconds:.0f} s", end="", flush=True)
            count += 1
