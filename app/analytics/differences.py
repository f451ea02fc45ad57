"""Where counts are not what a recount from raw events says."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from app.analytics.figure import Counts
from app.models.count import CountKey
from app.models.event import EventKind

_PIXELS = ("header", "footer")


class Difference(NamedTuple):
    key: CountKey
    counted: int
    recounted: int


def differences(before: Counts, recounted: Counts, after: Counts) -> list[Difference]:
    """What cannot be explained by hits that came in meanwhile.

    Args:
        before, after: what was counted just before and just after the recount.
    """
    # Counts from before pixels were told apart say only `opened`; their events still say which pixel it was.
    undivided = {_place(key) for key in after if key.kind == EventKind.OPENED and not key.part}
    early, late, anew = (_folded(counts, undivided) for counts in (before, after, recounted))
    return [
        Difference(key, late[key], anew[key])
        for key in sorted(early.keys() | late.keys() | anew.keys())
        if not min(early[key], late[key]) <= anew[key] <= max(early[key], late[key])
    ]


def _place(key: CountKey) -> tuple[str, str, str]:
    return key.brand_id, key.campaign_id, key.day


def _folded(counts: Counts, undivided: set[tuple[str, str, str]]) -> Counter[CountKey]:
    found: Counter[CountKey] = Counter()
    for key, number in counts.items():
        found[key._replace(part="") if key.part in _PIXELS and _place(key) in undivided else key] += number
    return found
