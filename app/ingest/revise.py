"""What is to be changed of a message's stored events, so that they are what all of them together say.

Pure: `look_back` asks it with what a batch brings, `app.storage.corrections` inside the transaction that writes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from app.ingest.classify import RULES_VERSION, Judge
from app.ingest.counts import count
from app.ingest.signals import from_reasons
from app.ingest.story import Chapter, Told, tell
from app.lib import clock, ids
from app.models.block import FIRST_LINK_SLOT, Block, Channel, Slot
from app.models.count import CountKey
from app.models.event import (
    AGAIN,
    FIRST,
    FIRST_APPLE,
    FIRST_MACHINE,
    FIRST_OF_OTHER,
    HIT_KINDS,
    Event,
    EventKind,
    Judgement,
    Share,
)

_RANKED = (EventKind.OPENED, EventKind.CLICKED)


class Revision(NamedTuple):
    """Changes of stored events, written together or not at all."""

    changes: list[tuple[Event, Event]]
    """Before and after."""
    new: list[Event]
    """Corrections that brands are told, and implied opens."""

    @property
    def counts(self) -> Counter[CountKey]:
        """What changes in the counts: negative under what events were, positive under what they are."""
        total = count([*(after for _, after in self.changes), *self.new])
        total.subtract(count(before for before, _ in self.changes))
        return Counter({key: number for key, number in total.items() if number})


def judge_together(events: Sequence[Event], judge: Judge, block: Block) -> dict[bytes, Chapter]:
    """The hits among a message's events, judged with regard to each other, by id."""
    hits = sorted((event for event in events if event.kind in HIT_KINDS and not event.implied), key=lambda hit: hit.id)
    told = []
    for hit in hits:
        signals = hit.signals or from_reasons(hit.judgement.reasons)
        alone = judge.alone(hit.kind, hit.user_agent, signals, hit.at_ms)
        told.append(Told(hit.at_ms, hit.kind, hit.slot, hit.user_agent, signals, alone))
    sent = [event.at_ms for event in events if event.kind is EventKind.SENT]
    chapters = tell(told, judge.policy, links=links_of(block), handed_over_ms=max(sent, default=None))
    return {hit.id: chapter for hit, chapter in zip(hits, chapters, strict=True)}


def links_of(block: Block) -> frozenset[int]:
    """The slots of a message's links, the hidden one excepted."""
    return frozenset(FIRST_LINK_SLOT + place for place, link in enumerate(block.links) if not link.trap)


def revise(events: Sequence[Event], judge: Judge, block: Block) -> Revision:
    """Args:
    events: all of one message, as they are stored.
    """
    judged = {event_id: chapter.judgement for event_id, chapter in judge_together(events, judge, block).items()}
    after = [_judged(event, judged) for event in events]
    implied = _implied_open(after, block)
    ranked = _ranked([*after, *implied])
    changes = [
        (before, now if now.judgement != before.judgement else now._replace(rules_version=before.rules_version))
        for before, now in zip(events, ranked, strict=False)
        if (now.judgement, now.rank) != (before.judgement, before.rank)
    ]
    told = [_told(before, now) for before, now in changes if _is_told(before, now)]
    return Revision(changes, [*ranked[len(events) :], *told])


def implied_open(click: Event) -> Event:
    """The open that a click says happened. Its id is the click's with the last bit turned, so it is made once."""
    return click._replace(
        id=_partner(click.id),
        kind=EventKind.OPENED,
        slot=int(Slot.PIXEL_HEADER),
        judgement=_implied(click.judgement),
        rank=FIRST,
        signals=0,
        user_agent="",
        client="",
        query="",
        url="",
        personal=b"",
        implied=True,
    )


def may_imply(block: Block) -> bool:
    """Only where opens are tracked: who does not want to know of opens is not told of them by a click."""
    return block.track_opens and block.channel is Channel.EMAIL


def _partner(event_id: bytes) -> bytes:
    return event_id[:-1] + bytes([event_id[-1] ^ 1])


def _implied(judgement: Judgement) -> Judgement:
    return Judgement(judgement.verdict, judgement.counted, ("implied",))


def _judged(event: Event, judged: dict[bytes, Judgement]) -> Event:
    if event.implied:
        click = judged.get(_partner(event.id))
        found = event.judgement if click is None else _implied(click)
    else:
        found = judged.get(event.id, event.judgement)
    return event if found == event.judgement else event._replace(judgement=found, rules_version=RULES_VERSION)


def _implied_open(events: Sequence[Event], block: Block) -> list[Event]:
    """The implied open that is missing."""
    if not may_imply(block):
        return []
    counted = [event for event in events if event.judgement.counted]
    clicks = [event for event in counted if event.kind is EventKind.CLICKED]
    if not clicks or any(event.kind is EventKind.OPENED for event in counted):
        return []
    known = {event.id for event in events}
    made = implied_open(min(clicks, key=lambda click: click.id))
    return [] if made.id in known else [made._replace(recorded_ms=clock.now_ms())]


def _ranked(events: list[Event]) -> list[Event]:
    """The events with the ranks they must have: whoever has one and may keep it keeps it, else the earliest gets it."""
    found: dict[bytes, int] = {}
    for kind in _RANKED:
        of_kind = sorted((event for event in events if event.kind is kind), key=lambda one: (one.implied, one.id))
        counted = [event for event in of_kind if event.judgement.counted]
        first = _holder(counted, FIRST)
        if first is not None:
            found[first.id] = FIRST
            others = [event for event in counted if event.judgement.share is not first.judgement.share]
            if (other := _holder(others, FIRST_OF_OTHER)) is not None:
                found[other.id] = FIRST_OF_OTHER
        for share, rank in ((Share.MACHINE, FIRST_MACHINE), (Share.APPLE, FIRST_APPLE)):
            holder = _holder([event for event in of_kind if event.judgement.share is share], rank)
            if holder is not None:
                found[holder.id] = rank
    return [
        event
        if event.kind not in _RANKED or event.rank == (rank := found.get(event.id, AGAIN))
        else event._replace(rank=rank)
        for event in events
    ]


def _holder(candidates: list[Event], rank: int) -> Event | None:
    return next((event for event in candidates if event.rank == rank), candidates[0] if candidates else None)


def _is_told(before: Event, now: Event) -> bool:
    changed = (before.judgement.verdict, before.judgement.counted) != (now.judgement.verdict, now.judgement.counted)
    return changed and not now.implied and now.kind is not EventKind.VIEWED


def _told(before: Event, now: Event) -> Event:
    """The correction as an event of its own."""
    now_ms = clock.now_ms()
    return Event(
        id=ids.new_id(now_ms),
        kind=EventKind.RECLASSIFIED,
        brand_id=now.brand_id,
        message=now.message,
        block=now.block,
        slot=now.slot,
        at_ms=now_ms,
        recorded_ms=now_ms,
        judgement=now.judgement,
        rank=AGAIN,
        rules_version=now.rules_version,
        campaign_id=now.campaign_id,
        corrects=now.id,
        corrects_kind=now.kind,
        before=before.judgement,
    )
