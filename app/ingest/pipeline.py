"""The whole of ingest as a list of named steps over one batch of journal lines.

A batch may be run any number of times, also twice at once: events are stored by their id, deliveries by event
and endpoint, counts by batch id, and the marker that ends it all is written last.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from app.brands import Brand
from app.ingest import ports
from app.ingest.attribute import Attribution, Hit
from app.ingest.classify import BLOCKED, GONE, RULES_VERSION, judge
from app.ingest.enrich import kept_address, kept_user_agent
from app.ingest.personal import PersonalData
from app.lib import clock, ids
from app.models import record_line
from app.models.block import Block
from app.models.count import CountKey
from app.models.event import AGAIN, FIRST, ONCE_PER_MESSAGE, Event, EventKind, Judgement, Share, Verdict
from app.models.record import Record
from app.tracking.codes import TOKEN_NUMBERS

_DAY_MS = 86_400_000
_NOWHERE = {"blocked": BLOCKED, "gone": GONE}
"""Marks of the front on clicks that ended at a page of ours."""


@dataclass(slots=True)
class Batch:
    """One batch on its way through the steps."""

    id: str
    lines: list[bytes]
    records: list[Record] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    blocks: dict[int, Block] = field(default_factory=dict)
    """By start."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Reason (`broken`, `unknown_code`, `unknown_block`, `unknown_token`, `foreign_host`, `wrong_purpose`, `untracked`,
    `erased`) → records without event."""
    endpoints: set[ports.EndpointRef] = field(default_factory=set)
    """Who has deliveries waiting now."""
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each step took."""


class Pipeline:
    """Runs batches. One per process; it holds no state of its own."""

    def __init__(
        self,
        *,
        attribution: Attribution,
        personal: PersonalData,
        events: ports.Events,
        hints: ports.Hints,
        unsubscribes: ports.Unsubscribes,
        outbox: ports.Outbox,
        counts: ports.Counts,
        dead_letters: ports.DeadLetters,
    ) -> None:
        self._attribution = attribution
        self._personal = personal
        self._events = events
        self._hints = hints
        self._unsubscribes = unsubscribes
        self._outbox = outbox
        self._counts = counts
        self._dead_letters = dead_letters
        self._steps: tuple[Callable[[Batch], None], ...] = (
            self.decode,
            self.attribute,
            self.suppress,
            self.classify,
            self.seal,
            self.store,
            self.tell,
            self.mark,
        )

    def run(self, batch_id: str, lines: bytes) -> Batch:
        """Take a batch of journal lines through every step.

        Raises:
            StoreUnavailable: run it again later; nothing is lost or counted twice.
        """
        batch = Batch(batch_id, [line for line in lines.split(b"\n") if line])
        for step in self._steps:
            started = time.perf_counter()
            step(batch)
            batch.seconds[step.__name__] = time.perf_counter() - started
        return batch

    def decode(self, batch: Batch) -> None:
        """Lines to records. What cannot be read is set aside and counted, and stops nothing."""
        broken: list[tuple[int, bytes, str]] = []
        for position, line in enumerate(batch.lines):
            try:
                batch.records.append(record_line.decode(line))
            except record_line.BrokenRecord as error:
                broken.append((position, line, str(error)))
        if broken:
            self._dead_letters.set_aside(batch.id, broken)
            batch.dropped["broken"] += len(broken)

    def attribute(self, batch: Batch) -> None:
        """Records to hits: which brand, block, message and slot. What belongs to nobody is dropped by reason."""
        batch.hits, dropped = self._attribution.run(batch.records)
        batch.dropped += dropped
        batch.blocks = {hit.block.start: hit.block for hit in batch.hits}

    def suppress(self, batch: Batch) -> None:
        """Unsubscribes take effect, whether or not the front could reach MongoDB when it answered."""
        for hit in batch.hits:
            if hit.kind is not EventKind.UNSUBSCRIBED:
                continue
            if hit.content is not None:
                self._unsubscribes.apply_token(hit.brand, hit.content, hit.record.at_ms)
            else:
                self._unsubscribes.apply(hit.brand, hit.block, hit.message, hit.record.at_ms)

    def classify(self, batch: Batch) -> None:
        """Hits to events, with verdict and reasons, and with what the brand's policy lets us keep of the client."""
        recorded_ms = clock.now_ms()
        for record, brand, block, message, slot, kind, content in batch.hits:
            judgement = judge(record, kind)
            for mark, reason in _NOWHERE.items():
                if mark in record.headers:
                    judgement = Judgement(judgement.verdict, False, (*judgement.reasons, reason))
            batch.events.append(
                Event(
                    record.id,
                    kind,
                    brand.id,
                    message,
                    block.start,
                    slot,
                    record.at_ms,
                    recorded_ms,
                    judgement,
                    AGAIN,
                    RULES_VERSION,
                    block.campaign_id,
                    kept_user_agent(record.user_agent),
                    "" if brand.client_address_policy == "none" else kept_address(record.client),
                    record.headers.get("form") if kind is EventKind.UNSUBSCRIBED else None,
                    record.query,
                    (content.destination or "") if content is not None else "",
                )
            )

    def seal(self, batch: Batch) -> None:
        """Messages of sealed tokens are registered, and what is personal of a hit is sealed for its recipient."""
        if batch.hits:
            batch.events = self._personal.keep(batch.hits, batch.events)

    def store(self, batch: Batch) -> None:
        """Guess which events are first, let MongoDB's unique index decide, and look where the guess was to wait."""
        if not batch.events:
            return
        pairs = {(event.message, event.kind) for event in batch.events if event.judgement.counted}
        # Numbers of sealed tokens lie far apart, a page of hints for each: MongoDB is asked instead.
        unhinted = {pair for pair in pairs if pair[0] >= TOKEN_NUMBERS}
        known, free = self._hints.claim(list(pairs - unhinted))
        free |= unhinted
        guessed: list[Event] = []
        for event in batch.events:
            pair = (event.message, event.kind)
            first = event.judgement.counted and (pair in free or event.kind in ONCE_PER_MESSAGE)
            if first:
                free.discard(pair)
            guessed.append(event._replace(rank=FIRST) if first else event)
        batch.events = self._events.insert(guessed, batch.id)
        certain = known | {(event.message, event.kind) for event in batch.events if event.first}
        if unsure := pairs - certain:
            batch.events, confirmed = self._events.confirm_firsts(batch.events, unsure)
            certain |= confirmed
        self._hints.remember(certain - known - unhinted)

    def tell(self, batch: Batch) -> None:
        """A delivery per event and endpoint that wants it."""
        if batch.events:
            batch.endpoints = self._outbox.write(batch.events, batch.blocks)

    def mark(self, batch: Batch) -> None:
        """The end: what the batch counted, under its id, and the sign for the shipper that it is stored."""
        plain = Counter(map(_counted_as, batch.events))
        counts = {CountKey(*key): number for key, number in plain.items()}
        self._counts.mark(batch.id, counts, records=len(batch.lines), dropped=batch.dropped)

    def record_sent(self, brand: Brand, block: Block, message: int, at_ms: int) -> tuple[Event, Batch]:
        """Store that the brand's own sender has sent a message; once per message, whatever is called twice.

        Returns:
            the event as stored (an earlier call's when there was one), and its batch.
        """
        batch = Batch(f"sent:{message}", [], blocks={block.start: block})
        event = self._events.find_first(message, EventKind.SENT) or Event(
            id=ids.new_id(),
            kind=EventKind.SENT,
            brand_id=brand.id,
            message=message,
            block=block.start,
            slot=0,
            at_ms=at_ms,
            recorded_ms=clock.now_ms(),
            judgement=Judgement(Verdict.HUMAN, True, ("ok",)),
            rank=FIRST,
            rules_version=RULES_VERSION,
            campaign_id=block.campaign_id,
        )
        batch.events = self._events.insert([event], batch.id)
        if not batch.events:
            # Another call was first between the look and the insert; its event belongs to the same batch.
            stored = self._events.find_first(message, EventKind.SENT)
            batch.events = [stored or event]
        self.tell(batch)
        self.mark(batch)
        return batch.events[0], batch


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
        "",
    )


@lru_cache(maxsize=1024)
def _day(day: int) -> str:
    """Days since 1970 as an ISO date; a batch has one or two of them."""
    return clock.from_ms(day * _DAY_MS).date().isoformat()
