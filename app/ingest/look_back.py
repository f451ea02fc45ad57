"""Looks from a batch's hits to the other events of their messages, before they are stored and after.

Before: hits get the verdict that all known events together give, so few need correcting. After: whoever stores last
sees what others stored at the same time, and corrects. Most messages have a single hit and are never looked at
(`app.storage.traces` knows which).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from app.ingest.classify import RULES_VERSION, TAINTING, Judge
from app.ingest.firsts import claim_of
from app.ingest.revise import Revision, judge_together, may_imply, revise
from app.models import signals
from app.models.block import Block
from app.models.event import HIT_KINDS, Event, EventKind, Judgement, Place
from app.models.trace import BUSY, CLICKED, HIT, IMPLIES, LOOKED_AT, TAINTED
from app.tracking.codes import TOKEN_NUMBERS

_HANDED_OVER_MS = 61_000
"""How long after the hand-over it has a say, and a second for its rounding (`BotPolicy.microsoft_seconds`)."""


class Entered(Protocol):
    @property
    def pages(self) -> Any: ...
    @property
    def traces(self) -> Mapping[int, int]: ...
    @property
    def handed_over(self) -> Mapping[int, int]: ...


class Traces(Protocol):
    def enter(self, claims: Mapping[int, int]) -> Entered | None: ...
    def leave(self, bits: Mapping[int, int], pages: Any = None) -> Mapping[int, int] | None: ...
    def forget_firsts(self, places: Iterable[Place]) -> None: ...
    def hand_over(self, message: int, at_ms: int) -> None: ...


class Corrections(Protocol):
    def load(self, messages: Collection[int]) -> dict[int, list[Event]]: ...
    def told(self, messages: Collection[int], batch_id: str) -> list[Event]: ...
    def settle(
        self, messages: Collection[int], revise: Callable[[int, Sequence[Event]], Revision], batch_id: str
    ) -> list[Event]: ...


@dataclass(slots=True)
class Look:
    """What a batch found out of its messages."""

    traces: Mapping[int, int] = field(default_factory=dict)
    """Message → its trace; empty when nobody knows."""
    pages: Any = None
    """Where the traces are, for leaving something there."""
    everybody: bool = False
    """Nobody knows the traces: every message is looked at."""
    wrong: set[int] = field(default_factory=set)
    """Messages with stored events that what is new makes something else."""
    left: dict[int, int] = field(default_factory=dict)
    """Message → what the batch leaves in its trace."""


class LookBack:
    def __init__(self, traces: Traces, corrections: Corrections) -> None:
        self._traces = traces
        self._corrections = corrections

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
        claims, several = _claims(events, look.left, blocks)
        entered = self._traces.enter(_of_blocks(claims))
        if entered is None:
            look.everybody = True
        else:
            look.pages, look.traces = entered.pages, entered.traces
        asked, to_load = _asked(events, look, several, {} if entered is None else entered.handed_over)
        if not asked:
            return events, look
        stored = self._corrections.load(to_load) if to_load else {}
        judged: dict[bytes, Event] = {}
        for message, new in asked.items():
            known = {event.id: event for event in stored.get(message, ())}
            together = [*known.values(), *(event for event in new if event.id not in known)]
            found = judge_together(together, judges[new[0].brand_id], blocks[new[0].block])
            judged.update((event.id, _with_verdict(event, found[event.id].judgement)) for event in new)
            for event in new:
                look.left[message] |= _left_by(event.kind, judged[event.id].judgement)
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
        own = look.left
        before = self._traces.leave(_of_blocks(own)) if look.pages is None else self._traces.leave(own, look.pages)
        if before is None or look.everybody:
            doubtful = look.wrong | own.keys()
        else:
            doubtful = look.wrong | _changed_meanwhile(own, look.traces, before) | (own.keys() - before.keys())
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
        self._traces.forget_firsts(place for place in lost if place[0] < TOKEN_NUMBERS)
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


def _claims(
    events: Sequence[Event], left: dict[int, int], blocks: Mapping[int, Block]
) -> tuple[dict[int, int], set[int]]:
    """What a batch claims of messages' traces, and which of them have more than one hit in it. One pass over all
    events: `left` is filled too, with what it will leave there."""
    claims: dict[int, int] = {}
    several: set[int] = set()
    for event in events:
        kind, message = event.kind, event.message
        if kind not in HIT_KINDS:
            continue
        claim, leaves = _marks(kind, event.judgement)
        if claim & IMPLIES and not may_imply(blocks[event.block]):
            claim &= ~IMPLIES
        if message in left:
            several.add(message)
            leaves |= left[message]
            claim |= claims[message]
        left[message], claims[message] = leaves, claim
    return claims, several


def _of_blocks(bits: dict[int, int]) -> dict[int, int]:
    """Without messages of sealed tokens, whose numbers are anywhere: they have no traces."""
    if not any(message >= TOKEN_NUMBERS for message in bits):
        return bits
    return {message: value for message, value in bits.items() if message < TOKEN_NUMBERS}


def _changed_meanwhile(left: Mapping[int, int], looked: Mapping[int, int], before: Mapping[int, int]) -> set[int]:
    """Args:
    left: what this batch leaves, by message.
    looked: the traces when the batch looked.
    before: the traces just before it left something.
    """
    changed: set[int] = set()
    for message, trace in before.items():
        was = trace & LOOKED_AT
        if was & BUSY or (was == looked[message] & LOOKED_AT and not was & TAINTED):
            continue
        # A machine was there, or it was corrected and its ranks need looking after; or somebody else was at this
        # message since we looked.
        if (was | left[message]) & (CLICKED | TAINTED):
            changed.add(message)
    return changed


def _asked(
    events: Sequence[Event], look: Look, several: Set[int], handed_over: Mapping[int, int]
) -> tuple[dict[int, list[Event]], list[int]]:
    """The messages whose hits must be judged together, and of which of them there are earlier ones to be read.

    Args:
        several: messages with more than one hit in the batch.
    """
    asked: dict[int, list[Event]] = {}
    to_load: list[int] = []
    for message, new in _worth_a_look(events, look, several, handed_over).items():
        trace = look.traces.get(message, 0)
        if (
            look.everybody
            or message >= TOKEN_NUMBERS
            or (trace & LOOKED_AT and _may_matter(new, trace))
            or _was_just_handed_over(new, handed_over.get(message))
        ):
            to_load.append(message)
        elif not _matter_to_each_other(new):
            continue
        asked[message] = new
    return asked, to_load


def _worth_a_look(
    events: Sequence[Event], look: Look, several: Set[int], handed_over: Mapping[int, int]
) -> dict[int, list[Event]]:
    """The hits of messages that may have to be judged together. A first pass by bits alone, because most messages have
    one open after another, and what follows takes its time."""
    left, traces = look.left, look.traces
    if look.everybody:
        messages: Set[int] = left.keys()
    else:
        messages = {message for message in several if left[message] != HIT} | handed_over.keys()
        messages.update(
            message for message, trace in traces.items() if trace & TAINTED or (trace & HIT and left[message] != HIT)
        )
        messages.update(message for message in left if message >= TOKEN_NUMBERS)
    found: dict[int, list[Event]] = {}
    for event in events:
        if (event.message in messages or event.signals & signals.TRAP) and event.kind in HIT_KINDS:
            found.setdefault(event.message, []).append(event)
    return {message: new for message, new in found.items() if not traces.get(message, 0) & BUSY}


def _may_matter(new: Sequence[Event], trace: int) -> bool:
    """Whether earlier events of a message can change what its new ones are, or the other way round."""
    if trace & TAINTED or (trace & CLICKED and any(event.kind is not EventKind.OPENED for event in new)):
        return True
    return bool(trace & HIT) and _may_be_certain(new)


def _may_be_certain(new: Sequence[Event]) -> bool:
    """Whether they can make a machine of the client of earlier hits: each alone, by the trap, or by links at once."""
    asked_for = {event.slot for event in new if event.kind is not EventKind.OPENED}
    if len(asked_for) > 1 or any(event.signals & signals.TRAP for event in new):
        return True
    return any(_left_by(event.kind, event.judgement) & TAINTED for event in new)


def _was_just_handed_over(new: Sequence[Event], handed_over_ms: int | None) -> bool:
    return handed_over_ms is not None and any(-1000 <= event.at_ms - handed_over_ms < _HANDED_OVER_MS for event in new)


def _matter_to_each_other(new: Sequence[Event]) -> bool:
    if len(new) == 1:
        return bool(new[0].signals & signals.TRAP)
    return any(_left_by(event.kind, event.judgement) != HIT for event in new)


@lru_cache(maxsize=4096)
def _left_by(kind: EventKind, judgement: Judgement) -> int:
    """What a hit leaves in its message's trace."""
    found = HIT if kind is EventKind.OPENED else HIT | CLICKED
    return found | TAINTED if judgement.reasons[0] in TAINTING else found


@lru_cache(maxsize=4096)
def _marks(kind: EventKind, judgement: Judgement) -> tuple[int, int]:
    """What a batch claims with a hit, and what the hit leaves: one look-up for both."""
    return claim_of(kind, judgement), _left_by(kind, judgement)


def _with_verdict(event: Event, judgement: Judgement) -> Event:
    if judgement == event.judgement:
        return event
    return event._replace(judgement=judgement, rules_version=RULES_VERSION)
