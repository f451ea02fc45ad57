"""`python -m local.await_workers NAME…`: ends when each of these Celery nodes (workers, beat) has answered a ping.

A program of its own because it needs the copy's environment and Celery's own settings.
"""

from __future__ import annotations

import sys

from tasks.celery_app import app


def main(names: set[str]) -> None:
    missing = set(names)
    # Bounded by the caller, who ends us when its own deadline is over.
    while missing:
        for reply in app.control.ping(timeout=0.5):
            missing -= {node.partition("@")[0] for node in reply}


if __name__ == "__main__":
    main(set(sys.argv[1:]))
