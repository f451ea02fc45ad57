"""Small questions to a copy that is starting: does a page answer, and has a program given up?"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Mapping

from local.supervision import Program

# A program may fail a few times while what it needs is coming up; after this many seconds it will not come.
PATIENCE_SECONDS = 8.0


def status(url: str, headers: Mapping[str, str] | None = None, timeout_seconds: float = 3.0) -> int | None:
    """The HTTP status of a GET, 4xx and 5xx included; `None` when nobody answers."""
    # Only called with addresses we made from a port of our own.
    request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310
    # No proxy of the environment: this is our own machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout_seconds) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


class FailingPrograms:
    """Tells a program that is still coming up from one that fails again and again."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def look(self, programs: Mapping[str, Program]) -> str | None:
        """The name of a program that has been failing for too long."""
        now = time.monotonic()
        for name, program in programs.items():
            if program.state in {"BACKOFF", "FATAL"}:
                if now - self._since.setdefault(name, now) > PATIENCE_SECONDS:
                    return name
            elif program.state == "RUNNING":
                self._since.pop(name, None)
        return None
