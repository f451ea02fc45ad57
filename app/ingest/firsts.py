"""Which events of a batch may be the first of their place, guessed from traces so that MongoDB seldom refuses one.

MongoDB's unique index decides (`app.storage.events`); what is guessed wrong costs time and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from app.ingest.revise import implied_open, may_imply
from app.models.block import Block
from app.models.event import (
    AGAIN,
    FIRST,
    FIRST_OF_OTHER,
    MACHINE_RANKS,
    ONCE_PER_MESSAGE,
    Event,
    EventKind,
    Judgement,
    Share,
)
from app.models.trace import COUNTED_OPENS, IMPLIES, KNOWN, claimed

_OTHER = {
    KNOWN[kind, share]: KNOWN[kind, other]
    for kind in (EventKind.OPENED, EventKind.CLICKED)
    for share, other in ((Share.HUMAN, Share.PROXY), (Share.PROXY, Share.HUMAN))
}
_MACHINES = {
    KNOWN[kind, share]: rank for kind in (EventKind.OPENED, EventKind.CLICKED) for share, rank in MACHINE_RANKS.items()
}


@lru_cache(maxsize=4096)
def known_of(kind: EventKind, judgement: Judgement) -> int:
    """The bit of a trace for what an event may be the first of; 0 when it may be that of nothing."""
    share = judgement.share
    return KNOWN.get((kind, share), 0) if judgement.counted or share in MACHINE_RANKS else 0


def claim_of(kind: EventKind, judgement: Judgement) -> int:
    """The bits by which a batch says what it is about to store."""
    bits = claimed(known_of(kind, judgement))
    return bits | IMPLIES if kind is EventKind.CLICKED and judgement.counted else bits


class Guesses:
    """The guesses for one batch.

    Args:
        traces: message → its trace before the batch claimed anything; empty when nobody knows.
    """

    def __init__(self, traces: Mapping[int, int]) -> None:
        self._traces = traces
        self._tried: set[tuple[int, int]] = set()
        self.unsure: set[tuple[int, int]] = set()
        """(message, bit) that another batch is about to fill, or that this one tries: whether it is filled is to be
        seen."""

    def ranked(self, events: Iterable[Event]) -> list[Event]:
        """The events with the ranks to try, in the order in which they are stored. One loop, all in it: it is run for
        every hit there is."""
        traces, tried, unsure = self._traces, self._tried, self.unsure
        ranked: list[Event] = []
        for event in events:
            kind, message = event.kind, event.message
            if kind in ONCE_PER_MESSAGE or event.implied:
                ranked.append(event if event.rank == FIRST else event.with_rank(FIRST))
                continue
            known = known_of(kind, event.judgement)
            trace = traces.get(message, 0)
            if not known or trace & known:
                ranked.append(event)
                continue
            what = message, known
            unsure.add(what)
            if trace & claimed(known) or what in tried:
                ranked.append(event)
                continue
            tried.add(what)
            rank = _MACHINES.get(known)
            if rank is None:
                other = _OTHER[known]
                # What another batch has claimed, it is about to store the first of; `filled` has it looked at.
                before = trace & (other | claimed(other)) or (message, other) in tried
                rank = FIRST_OF_OTHER if before else FIRST
            ranked.append(event.with_rank(rank))
        return ranked

    def filled(self, events: Iterable[Event]) -> set[tuple[int, int]]:
        """(message, bit) of what stored events are the first of. Those that are second, and whose first nobody has seen
        yet, make the other share unsure."""
        filled: set[tuple[int, int]] = set()
        for event in events:
            rank = event.rank
            if rank == AGAIN:
                continue
            message, known = event.message, known_of(event.kind, event.judgement)
            filled.add((message, known))
            if rank == FIRST_OF_OTHER and not self._traces.get(message, 0) & _OTHER[known]:
                self.unsure.add((message, _OTHER[known]))
        return filled

    def implied_opens(self, events: Sequence[Event], blocks: Mapping[int, Block]) -> tuple[list[Event], list[Event]]:
        """Opens that counted clicks of the batch imply, where nobody loaded a pixel as far as is known: those to store
        now, and those of which another batch may be storing a real one."""
        now: dict[int, Event] = {}
        perhaps: dict[int, Event] = {}
        clicks = [
            event
            for event in events
            if event.kind is EventKind.CLICKED
            and event.judgement.counted
            and not self._traces.get(event.message, 0) & COUNTED_OPENS
            and may_imply(blocks[event.block])
        ]
        if not clicks:
            return [], []
        opened = {event.message for event in events if event.kind is EventKind.OPENED and event.judgement.counted}
        for event in clicks:
            message = event.message
            if message not in opened:
                where = perhaps if self._traces.get(message, 0) & claimed(COUNTED_OPENS) else now
                where.setdefault(message, implied_open(event))
        return list(now.values()), list(perhaps.values())
