"""What an event is counted under. Figures are made of these counts (`app.analytics.definitions`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from app.lib import clock
from app.models.block import Slot
from app.models.count import CountKey
from app.models.event import Event, EventKind, Share

_DAY_MS = 86_400_000
_HEADER = int(Slot.PIXEL_HEADER)


def count(events: Iterable[Event]) -> Counter[CountKey]:
    """How many events there are of each key."""
    plain = Counter(map(_counted_as, events))
    return Counter({CountKey(*key): number for key, number in plain.items()})


def _counted_as(event: Event) -> tuple[str, str, str, EventKind, Share, bool, int, str]:
    """A `CountKey` as a plain tuple: a batch has a thousand events and a few dozen keys."""
    judgement = event.judgement
    return (
        event.brand_id,
        event.campaign_id or "",
        _day(event.at_ms // _DAY_MS),
        event.kind,
        judgement.share,
        judgement.counted,
        event.rank,
        _part(event) if event.kind is EventKind.OPENED else "",
    )


def _part(event: Event) -> str:
    if event.implied:
        return "implied"
    return "header" if event.slot == _HEADER else "footer"


@lru_cache(maxsize=1024)
def _day(day: int) -> str:
    """Days since 1970 as an ISO date; a batch has one or two of them."""
    return clock.from_ms(day * _DAY_MS).date().isoformat()
