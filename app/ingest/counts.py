"""What an event is counted under. Figures are made of these counts (`app.analytics.definitions`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from app.lib import clock
from app.models.block import Slot
from app.models.count import CountKey
from app.models.event import Event, EventKind

_DAY_MS = 86_400_000
_HEADER = int(Slot.PIXEL_HEADER)


def count(events: Iterable[Event]) -> Counter[CountKey]:
    """How many events there are of each key."""
    # First by what the key is made of: a batch has a thousand events and a few dozen keys.
    alike = Counter(
        (
            event.brand_id,
            event.campaign_id,
            event.at_ms // _DAY_MS,
            event.kind,
            event.judgement,
            event.rank,
            event.implied,
            event.slot == _HEADER,
        )
        for event in events
    )
    counted: Counter[CountKey] = Counter()
    for (brand_id, campaign_id, day, kind, judgement, rank, implied, header), number in alike.items():
        date = clock.from_ms(day * _DAY_MS).date().isoformat()
        part = _part(implied=implied, header=header) if kind is EventKind.OPENED else ""
        key = CountKey(brand_id, campaign_id or "", date, kind, judgement.share, judgement.counted, rank, part)
        counted[key] += number
    return counted


def _part(*, implied: bool, header: bool) -> str:
    if implied:
        return "implied"
    return "header" if header else "footer"
