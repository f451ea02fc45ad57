"""Which copy the demo plays against: the running one of the state folder, or one of its own that is gone afterwards."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from local.ports import free_port
from local.progress import Progress
from local.readiness import status
from local.run_file import RunInfo, read_run_info
from local.stack import Cancelled, Stack, StackFailed


@contextmanager
def copy_with(brands: Sequence[str], stop: threading.Event) -> Iterator[RunInfo]:
    """A copy that has these brands.

    Args:
        stop: makes a start that is under way give up.

    Raises:
        StackFailed: none runs, and none could be started.
    """
    state_dir = Path(os.environ.get("TELLTALE_STATE_DIR") or "var")
    running = find(state_dir, brands)
    if running is not None:
        print(f"  Playing against the copy at {running.url} ({state_dir / 'run.json'}).\n", flush=True)
        yield running
        return
    print("  No copy with these brands is running here, so the demo starts one in a temporary folder.\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="telltale-demo-") as folder:
        progress = Progress()
        stack = Stack(Path(folder), free_port(), progress=progress.step, cancelled=stop)
        try:
            info = stack.start()
        except StackFailed as error:
            progress.end("stopped" if isinstance(error, Cancelled) else "failed")
            raise
        progress.end("ready")
        print(flush=True)
        try:
            yield info
        finally:
            stack.stop()


def find(state_dir: Path, brands: Sequence[str]) -> RunInfo | None:
    """The copy of a state folder, when it answers and has these brands."""
    try:
        info = read_run_info(state_dir / "run.json")
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none is running, or the file is of another version
    if any(brand not in info.api_keys for brand in brands):
        return None
    # A copy that was killed leaves its file behind, and somebody else may have its port by now: ask with a key.
    key = info.api_keys[brands[0]]
    answers = status(f"{info.url}/v1/events?limit=1", {"Authorization": f"Bearer {key}"}) == 200
    return info if answers else None
