"""Looks from a batch's hits to the other events of their messages, before they are stored and after.

Before: hits get the verdict that all known events together give, so few need correcting. After: whoever stores last
sees what others stored at the same time, and corrects. Most messages have a single hit and are never looked at
(`app.storage.traces` knows which).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.ingest.classify import RULES_VERSION, TAINTING, Judge
from app.ingest.revise import Revision, judge_together, revise
from app.models import signals as bits
from app.models.block import Block
from app.models.event import HIT_KINDS, Event, EventKind, Judgement, Place
from app.tracking.codes import TOKEN_NUMBERS

HIT, CLICKED, TAINTED, BUSY = 1, 2, 4, 8
"""Bits of a trace; behind them it counts who left `CLICKED` (`app.storage.traces`)."""
_HANDED_OVER_MS = 61_000
"""How long after the hand-over it has a say, and a second for its rounding (`BotPolicy.microsoft_seconds`)."""


class Trace(Protocol):
    @property
    def value(self) -> int: ...
    @property
    def handed_over_ms(self) -> int: ...


class Traces(Protocol):
    def read(self, messages: Collection[int]) -> Mapping[int, Trace] | None: ...
    def leave(self, bits: Mapping[int, int]) -> Mapping[int, int] | None: ...
    def hand_over(self, message: int, at_ms: int) -> None: ...


class Corrections(Protocol):
    def load(self, messages: Collection[int]) -> dict[int, list[Event]]: ...
    def told(self, messages: Collection[int], batch_id: str) -> list[Event]: ...
    def settle(
        self, messages: Collection[int], revise: Callable[[int, Sequence[Event]], Revision], batch_id: str
    ) -> list[Event]: ...


class Hints(Protocol):
    def forget(self, places: Iterable[Place]) -> None: ...


@dataclass(slots=True)
class Look:
    """What a batch found out before it was stored."""

    known: Mapping[int, int] = field(default_factory=dict)
    """Message → the value of its trace."""
    everybody: bool = False
    """Nobody knows the traces: every message is looked at."""
    wrong: set[int] = field(default_factory=set)
    """Messages with stored events that what is new makes something else."""


class LookBack:
    def __init__(self, traces: Traces, corrections: Corrections, hints: Hints) -> None:
        self._traces = traces
        self._corrections = corrections
        self._hints = hints

    def before(
        self, events: list[Event], judges: Mapping[str, Judge], blocks: Mapping[int, Block]
    ) -> tuple[list[Event], Look]:
        """The events of a batch with the verdicts that the other events of their messages give them.

        Args:
            events: judged each by itself.
            judges: by brand id.
            blocks: by start.

        Raises:
            StoreUnavailable: run the batch again.
        """
        look = Look()
        by_message = _by_message(events)
        traces = self._traces.read([message for message in by_message if message < TOKEN_NUMBERS])
        look.everybody = traces is None
        traces = traces or {}
        look.known = {message: trace.value for message, trace in traces.items()}
        asked: dict[int, list[Event]] = {}
        to_load = []
        for message, new in by_message.items():
            trace = traces.get(message)
            unknown = look.everybody or message >= TOKEN_NUMBERS
            if trace is not None and trace.value & BUSY:
                continue
            if unknown or (trace is not None and _may_matter(new, trace)):
                asked[message] = new
                to_load.append(message)
            elif _among_themselves(new):
                asked[message] = new
        if not asked:
            return events, look
        stored = self._corrections.load(to_load) if to_load else {}
        judged: dict[bytes, Event] = {}
        for message, new in asked.items():
            known = {event.id: event for event in stored.get(message, ())}
            together = [*known.values(), *(event for event in new if event.id not in known)]
            found = judge_together(together, judges[new[0].brand_id], blocks[new[0].block])
            judged.update((event.id, _with_verdict(event, found[event.id].judgement)) for event in new)
            if any(event.judgement != found[event.id].judgement for event in known.values() if event.id in found):
                look.wrong.add(message)
        return [judged.get(event.id, event) for event in events], look

    def after(
        self,
        events: Sequence[Event],
        look: Look,
        judges: Mapping[str, Judge],
        blocks: Mapping[int, Block],
        batch_id: str,
    ) -> list[Event]:
        """Correct what the batch, or one that was stored at the same time, has made wrong.

        Args:
            events: as stored.

        Returns:
            the corrections to be told.
        Raises:
            StoreUnavailable: run the batch again.
        """
        by_message = _by_message(event for event in events if event.kind in HIT_KINDS and not event.implied)
        own = {message: _trace_of(those) for message, those in by_message.items()}
        before = self._traces.leave({message: found for message, found in own.items() if message < TOKEN_NUMBERS})
        doubtful = set(look.wrong)
        for message, bit in own.items():
            if before is None or look.everybody or message >= TOKEN_NUMBERS:
                doubtful.add(message)
                continue
            left, known = before[message], look.known.get(message, 0)
            if left & BUSY:
                continue
            # A machine was there, or it was corrected and its ranks need looking after; or somebody else was at this
            # message since we looked.
            if left & TAINTED or (left != known and (left | bit) & (CLICKED | TAINTED)):
                doubtful.add(message)
        return self.settle(doubtful, events, judges, blocks, batch_id) if doubtful else []

    def settle(
        self,
        messages: Collection[int],
        events: Sequence[Event],
        judges: Mapping[str, Judge],
        blocks: Mapping[int, Block],
        batch_id: str,
    ) -> list[Event]:
        """Correct messages where that is needed.

        Args:
            events: one at least of each message, to know its brand and block.

        Returns:
            the corrections to be told, also those of an earlier run for this batch that died before it told them.
        """
        owners = _owners(events, judges, blocks)
        stored = self._corrections.load(messages)
        self._leave_busy(set(messages) - stored.keys())
        wrong = []
        for message, known in stored.items():
            revision = revise(known, *owners[message])
            if revision.changes or revision.new:
                wrong.append(message)
        told = self._corrections.told(messages, batch_id)
        if not wrong:
            return told
        # Before anything changes: who stores a hit from here on looks again, and sees to the ranks.
        self._traces.leave({message: TAINTED for message in wrong if message < TOKEN_NUMBERS})
        lost: set[Place] = set()

        def change(message: int, known: Sequence[Event]) -> Revision:
            revision = revise(known, *owners[message])
            for was, _ in revision.changes:
                lost.add((message, was.kind, was.judgement.share))
            return revision

        told += self._corrections.settle(wrong, change, batch_id)
        self._hints.forget(place for place in lost if place[0] < TOKEN_NUMBERS)
        return told

    def differing(
        self,
        messages: Collection[int],
        events: Sequence[Event],
        judges: Mapping[str, Judge],
        blocks: Mapping[int, Block],
    ) -> int:
        """How many corrections `settle` would make and tell, without making any."""
        owners = _owners(events, judges, blocks)
        revisions = [revise(known, *owners[message]) for message, known in self._corrections.load(messages).items()]
        return sum(event.kind is EventKind.RECLASSIFIED for revision in revisions for event in revision.new)

    def hand_over(self, message: int, at_ms: int) -> None:
        """Note when a message was handed over, for the hits that follow."""
        if message < TOKEN_NUMBERS:
            self._traces.hand_over(message, at_ms)
            # Who is storing a hit at this moment has looked before: this makes them look again.
            self._traces.leave({message: HIT | CLICKED})

    def _leave_busy(self, messages: set[int]) -> None:
        if messages:
            self._traces.leave({message: BUSY for message in messages if message < TOKEN_NUMBERS})


def _owners(
    events: Iterable[Event], judges: Mapping[str, Judge], blocks: Mapping[int, Block]
) -> dict[int, tuple[Judge, Block]]:
    return {event.message: (judges[event.brand_id], blocks[event.block]) for event in events}


def _by_message(events: Iterable[Event]) -> dict[int, list[Event]]:
    found: dict[int, list[Event]] = {}
    for event in events:
        if event.kind in HIT_KINDS:
            found.setdefault(event.message, []).append(event)
    return found


def _may_matter(new: Sequence[Event], trace: Trace) -> bool:
    """Whether earlier events of a message can change what its new ones are, or the other way round."""
    if trace.value & TAINTED or (trace.value & HIT and _may_be_certain(new)):
        return True
    if trace.value & CLICKED and any(event.kind is not EventKind.OPENED for event in new):
        return True
    handed_over = trace.handed_over_ms
    return bool(handed_over) and any(-1000 <= event.at_ms - handed_over < _HANDED_OVER_MS for event in new)


def _may_be_certain(new: Sequence[Event]) -> bool:
    """Whether they can make a machine of the client of earlier hits: each alone, by the trap, or by links at once."""
    asked_for = {event.slot for event in new if event.kind is not EventKind.OPENED}
    return len(asked_for) > 1 or bool(_trace_of(new) & TAINTED) or any(event.signals & bits.TRAP for event in new)


def _among_themselves(new: Sequence[Event]) -> bool:
    """Whether a message's hits in one batch can change each other."""
    if len(new) == 1:
        return bool(new[0].signals & bits.TRAP)
    return bool(_trace_of(new) & (CLICKED | TAINTED))


def _trace_of(events: Sequence[Event]) -> int:
    found = HIT
    for event in events:
        if event.kind is not EventKind.OPENED:
            found |= CLICKED
        if event.judgement.reasons[0] in TAINTING:
            found |= TAINTED
    return found


def _with_verdict(event: Event, judgement: Judgement) -> Event:
    if judgement == event.judgement:
        return event
    return event._replace(judgement=judgement, rules_version=RULES_VERSION)
