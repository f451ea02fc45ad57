"""What events are counted by. One key per combination, added up per batch, then into rollups.

A correction counts an event down under what it was and up under what it is, so a figure may be a sum of both signs.
"""

from __future__ import annotations

from typing import NamedTuple


class CountKey(NamedTuple):
    """`rank` splits unique from repeated events; figures add up over the fields they do not name. What each figure is
    made of stands in `app.analytics.definitions`, and nowhere else."""

    brand_id: str
    campaign_id: str
    """Empty when the message has none."""
    day: str
    """The UTC date of the hit, `2026-01-31`."""
    kind: str
    share: str
    """Of `app.models.event.Share`."""
    counted: bool
    rank: int
    """`FIRST`, … of `app.models.event`."""
    part: str = ""
    """Of opens: `header`, `footer` or `implied`."""
