"""What runs regularly, how often, and why that often. `tasks` has the work, `queues` the names.

Every entry expires before the next two are due, so that an outage leaves no pile of ticks. Two beats at once are
harmless: tasks take a lock for their tick (`tasks.base.periodic`), and each would be right without it.
"""

from __future__ import annotations

from typing import Any

from config.queues import TaskName

WAKE_DUE_SECONDS = 2.0
"""A delivery that is due waits one tick more at most; the shortest retry delay is a few seconds."""
REPLAY_SECONDS = 2.0
"""A replay is made due up to 10 s ahead; a few ticks may be lost."""
COMPACT_SECONDS = 5.0
"""Every marker that waits is read with every figure, and a busy front makes some ten markers a second."""
INDEX_SECONDS = 10.0
"""Searches may rely on an index that is two minutes behind; nothing is younger than 20 s in it anyway."""
CHECK_JOURNAL_SECONDS = 30.0
"""The lag that is worth a warning is 30 s; looking more often warns no earlier."""
CHECK_NUMBERS_SECONDS = 60.0
"""A restored backup is noticed before much can be built on lost numbers; the check is two indexed reads."""
EXPIRE_SECONDS = 900.0
"""Retention is counted in days. A quarter of an hour keeps each run's share of deleting small."""
ARCHIVE_SECONDS = 60.0
"""An hour is written ten minutes after its end; each run does as much of what is behind as it has time for."""

PERIOD_SECONDS: dict[TaskName, float] = {
    TaskName.WAKE_DUE_ENDPOINTS: WAKE_DUE_SECONDS,
    TaskName.REPLAY: REPLAY_SECONDS,
    TaskName.COMPACT_COUNTS: COMPACT_SECONDS,
    TaskName.INDEX_EVENTS: INDEX_SECONDS,
    TaskName.CHECK_JOURNAL: CHECK_JOURNAL_SECONDS,
    TaskName.CHECK_NUMBERS: CHECK_NUMBERS_SECONDS,
    TaskName.EXPIRE_DATA: EXPIRE_SECONDS,
    TaskName.ARCHIVE_HOUR: ARCHIVE_SECONDS,
}


def beat_schedule() -> dict[str, dict[str, Any]]:
    """The schedule as Celery wants it."""
    return {
        task.value: {"task": task.value, "schedule": seconds, "options": {"expires": 2 * seconds}}
        for task, seconds in PERIOD_SECONDS.items()
    }
