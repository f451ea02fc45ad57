"""Hours of recording: when one is settled, and where its objects lie in the bucket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from app.lib import clock
from app.models.archive import HOUR_MS

SETTLE_MS = 600_000
"""How long after its end an hour is left alone. Events are stored within 10 seconds of their stamp, corrections within
20 of theirs; clocks of two machines may differ by more, and nobody waits for an archive."""
MANIFEST = "_manifest.json"
"""Engines that read whole folders (Hive, Athena, Spark) pass over names that begin with an underscore."""

_FOLDER = re.compile(r"dt=(\d{4}-\d\d-\d\d)/hour=(\d\d)/")


def hour_of(ms: int) -> int:
    """The start of the hour that a moment is in, both in milliseconds."""
    return ms - ms % HOUR_MS


def settled_before(now_ms: int) -> int:
    """The start of the first hour that is not settled yet."""
    return hour_of(now_ms - SETTLE_MS)


def hours_between(since: int, until: int) -> Iterator[int]:
    return iter(range(hour_of(since), until, HOUR_MS))


def hour_text(hour: int) -> str:
    """As `2026-01-01T13`: sorts by time."""
    return clock.from_ms(hour).strftime("%Y-%m-%dT%H")


def brand_folder(prefix: str, brand_id: str) -> str:
    return f"{prefix}brand={brand_id}/"


def hour_folder(prefix: str, brand_id: str, hour: int) -> str:
    """Named as Hive names partitions, which every warehouse can be told to prune by."""
    return brand_folder(prefix, brand_id) + clock.from_ms(hour).strftime("dt=%Y-%m-%d/hour=%H/")


def hour_of_manifest(prefix: str, brand_id: str, key: str) -> int | None:
    """The hour whose manifest has this key; None when it is not a manifest's."""
    folder = brand_folder(prefix, brand_id)
    if not key.startswith(folder) or not key.endswith(MANIFEST):
        return None
    found = _FOLDER.fullmatch(key[len(folder) : -len(MANIFEST)])
    try:
        return None if found is None else int(datetime.fromisoformat(f"{found[1]}T{found[2]}Z").timestamp() * 1000)
    except ValueError:
        return None
