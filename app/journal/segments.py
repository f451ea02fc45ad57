"""Names and locks of segment files, shared by the writer and the shipper.

A segment is `<microseconds>-<pid>-<random>.seg`, so names sort by age. Its writer holds an exclusive `flock` for as
long as it may write; the kernel drops the lock with the process, `kill -9` included. A segment that can be locked
is therefore complete. It is created under another name and renamed when it is locked, so nobody meets it unlocked.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from pathlib import Path

SUFFIX = ".seg"


def new_name() -> str:
    return f"{time.time_ns() // 1000:016d}-{os.getpid()}-{secrets.token_hex(3)}{SUFFIX}"


def list_segments(folder: Path) -> list[Path]:
    """All segments, oldest first; none before the first record made the folder."""
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIX))
    except FileNotFoundError:
        return []


def is_complete(path: Path) -> bool:
    """Whether no process can write to the segment any more."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
