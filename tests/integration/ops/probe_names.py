"""Names of the tasks in `probe_app`, which itself can only be imported with a deployment's environment."""

from __future__ import annotations

from enum import StrEnum
from typing import cast

from config.queues import TaskName


class Probe(StrEnum):
    """Tasks without a route: they go to the default queue."""

    NOTE = "probe.note"
    TRANSIENT = "probe.transient"
    PERMANENT = "probe.permanent"
    UNKNOWN = "probe.unknown"
    DEADLY = "probe.deadly"
    SLOW = "probe.slow"


def named(probe: Probe) -> TaskName:
    """`Broker.enqueue` takes our task names only, and only their text matters to it."""
    return cast(TaskName, probe)
