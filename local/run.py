"""`make run`: starts a whole copy (`stack.py`), says how to use it, and stops it on Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from local.ports import LOOPBACK
from local.progress import Progress

if TYPE_CHECKING:
    from local.stack import Stack


def main() -> int:
    stop = threading.Event()

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        # Only a flag: a handler that raises could do so between a process's start and our noting it.
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask_to_stop)
    # After the handlers: these imports take a moment, and Ctrl-C in it should not end in a traceback.
    from local.stack import Cancelled, Stack, StackFailed
    from local.summary import summary

    progress = Progress()
    try:
        port = int(os.environ.get("TELLTALE_PORT") or 8080)
    except ValueError:
        print("TELLTALE_PORT is not a number", file=sys.stderr)
        return 2
    stack = Stack(
        Path(os.environ.get("TELLTALE_STATE_DIR") or "var"),
        port,
        Path(os.environ.get("TELLTALE_BRANDS_FILE") or "brands.yaml"),
        host=os.environ.get("TELLTALE_BIND") or LOOPBACK,
        progress=progress.step,
        cancelled=stop,
    )
    try:
        info = stack.start()
    except Cancelled:
        progress.end("stopped")
        return 130
    except StackFailed as error:
        progress.end("failed")
        print(f"\nTelltale could not start: {error}", file=sys.stderr)
        return 1
    progress.end("ready")
    print(summary(info, stack.brands, stack.folder.path), flush=True)
    while not stop.wait(0.5) and not stack.failed:
        pass
    return _stop(stack)


def _stop(stack: Stack) -> int:
    failed = stack.failed
    print("\nsupervisord ended: stopping the rest …" if failed else "\nStopping, in order …", flush=True)
    began = time.monotonic()
    stack.stop()
    print(f"Stopped after {time.monotonic() - began:.1f} s. The data stays in {stack.folder.path}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
