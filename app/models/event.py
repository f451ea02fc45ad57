"""An event: what happened to a message, with the evidence for it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple


class EventKind(StrEnum):
    """What happened. `message.` + past tense is the public type (docs/glossary.md)."""

    SENT = "sent"
    OPENED = "opened"
    CLICKED = "clicked"
    UNSUBSCRIBED = "unsubscribed"
    VIEWED = "viewed"
    """The unsubscribe page was asked for, and nothing happened. Evidence only: not counted, not told, not listed."""
    RECLASSIFIED = "reclassified"
    """The verdict on an earlier event was corrected."""

    @property
    def public_type(self) -> str:
        return f"message.{self.value}"


ONCE_PER_MESSAGE = frozenset({EventKind.SENT, EventKind.UNSUBSCRIBED})
"""A second event of these kinds for a message says nothing new and is not stored."""


PUBLIC_KINDS = tuple(kind for kind in EventKind if kind is not EventKind.VIEWED)
"""What brands are told and can list."""
HIT_KINDS = frozenset({EventKind.OPENED, EventKind.CLICKED, EventKind.VIEWED})
"""What is judged; anything else is a report or an act, and honoured."""


class Verdict(StrEnum):
    HUMAN = "human"
    PROXY = "proxy"
    MACHINE = "machine"


class Share(StrEnum):
    """Which share of the figures an event is in: its verdict, with Apple's prefetches apart from other machines."""

    HUMAN = "human"
    PROXY = "proxy"
    MACHINE = "machine"
    APPLE = "apple"


APPLE_PREFETCH = "apple_mpp"
"""The reason that makes a machine's event Apple's."""

_SHARES = {Verdict.HUMAN: Share.HUMAN, Verdict.PROXY: Share.PROXY, Verdict.MACHINE: Share.MACHINE}


class Judgement(NamedTuple):
    """What classification says about one hit."""

    verdict: Verdict
    counted: bool
    reasons: tuple[str, ...]
    """Codes from the closed set in `app.models.reasons`, the deciding one first."""

    @property
    def share(self) -> Share:
        if self.verdict is Verdict.MACHINE and APPLE_PREFETCH in self.reasons:
            return Share.APPLE
        return _SHARES[self.verdict]


# An event's rank among those of its kind for its message. Stored (`f`); only ever add to them.
FIRST = 0
"""The first counted one: the number of these is the unique figure."""
FIRST_OF_OTHER = 1
"""The first counted one of the other share (proxy or human) than the first's."""
FIRST_MACHINE = 2
FIRST_APPLE = 3
AGAIN = -1
"""None of these. As a number only in counts; the event itself has its own id there."""
MACHINE_RANKS = {Share.MACHINE: FIRST_MACHINE, Share.APPLE: FIRST_APPLE}

_WITHOUT_RANK = frozenset({EventKind.RECLASSIFIED, EventKind.VIEWED})

Place = tuple[int, EventKind, Share]
"""(message, kind, share): of each there is one first event, if any."""


class Event(NamedTuple):
    """Stored exactly once, by `id`. A NamedTuple because ingest makes thousands a second."""

    id: bytes
    kind: EventKind
    brand_id: str
    message: int
    """The message's number (slot 0)."""
    block: int
    """The block's start."""
    slot: int
    """Which pixel or link was hit; for `sent` and `unsubscribed` 0 and 2."""
    at_ms: int
    recorded_ms: int
    judgement: Judgement
    rank: int
    """`FIRST`, …, `AGAIN`. Exact: arbitrated by a unique index."""
    rules_version: str
    campaign_id: str | None = None
    user_agent: str = ""
    client: str = ""
    """The client's address, cut to the brand's policy; often empty."""
    method: str | None = None
    """Unsubscribed only: `one_click`, `link`, `api`, …"""
    query: str = ""
    """The fields that the brand lets its URLs carry in the clear (`metadata_keys`), as `key=value&…`."""
    url: str = ""
    """Where a clicked sealed token leads. At rest it is only inside `personal`."""
    personal: bytes = b""
    """Sealed under the recipient's key: JSON with `client` (full address, policy `full`), `url` (of a sealed token) and
    `fields` (of a pixel's `p=` token), each only when there is one."""
    signals: int = 0
    """Bits of `app.models.signals`."""
    implied: bool = False
    """Opened only: nobody loaded a pixel, but a counted click says that the message was open. Not told, not listed."""
    corrects: bytes = b""
    """Reclassified only: the id of the event whose judgement is now this one's."""
    corrects_kind: EventKind | None = None
    before: Judgement | None = None
    """Reclassified only: the judgement that was told before."""

    def with_rank(self, rank: int) -> Event:
        """As `_replace(rank=…)`, in a quarter of the time: ingest does it to every second event."""
        return tuple.__new__(Event, (*self[:_RANK], rank, *self[_RANK + 1 :]))

    @property
    def first(self) -> bool:
        """The first counted event of its kind for its message."""
        return self.rank == FIRST

    @property
    def place(self) -> Place | None:
        """What it may be the first of; None when it is neither counted nor a machine's."""
        judgement = self.judgement
        share = judgement.share
        if self.kind in _WITHOUT_RANK or not (judgement.counted or share in MACHINE_RANKS):
            return None
        return self.message, self.kind, share


_RANK = Event._fields.index("rank")

event_of: Callable[[tuple[Any, ...]], Event] = partial(tuple.__new__, Event)
"""An event of all its fields in order, in less than half the time of `Event(…)` and as unchecked as it looks: for the
one loop over every hit."""
