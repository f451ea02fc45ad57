"""Which events of a batch may be the first of their place, guessed from traces so that MongoDB seldom refuses one.

MongoDB's unique index decides (`app.storage.events`); what is guessed wrong costs time and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.ingest.revise import implied_open, may_imply
from app.models.block import Block
from app.models.event import (
    AGAIN,
    FIRST,
    FIRST_OF_OTHER,
    HIT_KINDS,
    MACHINE_RANKS,
    ONCE_PER_MESSAGE,
    Event,
    EventKind,
    Place,
    Share,
)
from app.models.trace import COUNTED_OPENS, claimed, known_bit

_OTHER = {Share.HUMAN: Share.PROXY, Share.PROXY: Share.HUMAN}
_IMPLIED = claimed(known_bit((0, EventKind.OPENED, Share.HUMAN)))


def claims_of(events: Sequence[Event], blocks: Mapping[int, Block]) -> dict[int, int]:
    """Message → the bits of its trace that say which first events a batch is about to store."""
    found: dict[int, int] = {}
    for event in events:
        if event.kind not in HIT_KINDS:
            continue
        place = event.place
        bits = 0 if place is None else claimed(known_bit(place))
        if event.kind is EventKind.CLICKED and event.judgement.counted and may_imply(blocks[event.block]):
            bits |= _IMPLIED
        found[event.message] = found.get(event.message, 0) | bits
    return found


class Guesses:
    """The guesses for one batch.

    Args:
        traces: message → its trace before the batch claimed anything; empty when nobody knows.
    """

    def __init__(self, traces: Mapping[int, int]) -> None:
        self._traces = traces
        self._firsts: dict[tuple[int, EventKind], Share] = {}
        self._tried: set[Place] = set()
        self.unsure: set[Place] = set()
        """Places that another batch is about to fill, or that this one tries: whether they are filled is to be seen."""

    def rank(self, event: Event) -> int:
        """The rank to try; events in the order in which they are stored."""
        if event.kind in ONCE_PER_MESSAGE or event.implied:
            return FIRST
        place = event.place
        if place is None:
            return AGAIN
        trace, known = self._traces.get(place[0], 0), known_bit(place)
        if trace & known:
            return AGAIN
        self.unsure.add(place)
        if trace & claimed(known) or place in self._tried:
            return AGAIN
        rank = MACHINE_RANKS.get(place[2])
        if rank is None:
            rank = self._rank_of_counted(place, trace)
        if rank != AGAIN:
            self._tried.add(place)
        return rank

    def _rank_of_counted(self, place: Place, trace: int) -> int:
        message, kind, share = place
        other = known_bit((message, kind, _OTHER[share]))
        if trace & other:
            return FIRST_OF_OTHER
        if trace & claimed(other):
            return AGAIN  # its batch will have the first; whether it does is seen afterwards
        first = self._firsts.setdefault((message, kind), share)
        return FIRST if first is share else FIRST_OF_OTHER

    def implied_opens(self, events: Sequence[Event], blocks: Mapping[int, Block]) -> tuple[list[Event], list[Event]]:
        """Opens that counted clicks of the batch imply, where nobody loaded a pixel as far as is known: those to store
        now, and those of which another batch may be storing a real one."""
        now: dict[int, Event] = {}
        perhaps: dict[int, Event] = {}
        opened = {event.message for event in events if event.kind is EventKind.OPENED and event.judgement.counted}
        for event in events:
            message = event.message
            if event.kind is not EventKind.CLICKED or not event.judgement.counted or message in opened:
                continue
            trace = self._traces.get(message, 0)
            if trace & COUNTED_OPENS or not may_imply(blocks[event.block]):
                continue
            where = perhaps if trace & claimed(COUNTED_OPENS) else now
            where.setdefault(message, implied_open(event))
        return list(now.values()), list(perhaps.values())
