"""What events are counted by. One key per combination, added up per batch, then into rollups."""

from __future__ import annotations

from typing import NamedTuple


class CountKey(NamedTuple):
    """`first` splits unique from repeated events; figures add up over the fields they do not name."""

    brand_id: str
    campaign_id: str
    """Empty when the message has none."""
    day: str
    """The UTC date of the hit, `2026-01-31`."""
    kind: str
    verdict: str
    counted: bool
    first: bool
