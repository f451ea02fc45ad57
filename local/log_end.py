"""The part of a program's log that tells a person why it does not start."""

from __future__ import annotations

import re
from pathlib import Path

_LINES = 15
# MongoDB writes dozens of lines about its own shutdown after the one that matters.
_MONGODB_ERROR = re.compile(r'"s":"[EF]"')


def log_end(path: Path) -> str:
    """The last lines of a log; of MongoDB's, the last errors if it has any."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 64_000))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return "(no log)"
    errors = [line for line in lines if _MONGODB_ERROR.search(line)]
    return "\n".join((errors or lines)[-_LINES:])
