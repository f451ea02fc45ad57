"""The whole of ingest as a list of named steps over one batch of journal lines.

A batch may be run any number of times, also twice at once: events are stored by their id, deliveries by event
and endpoint, counts by batch id, and the marker that ends it all is written last.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from app.brands import Brand
from app.ingest import ports
from app.ingest.attribute import Attribution, Hit
from app.ingest.classify import RULES_VERSION, Judge
from app.ingest.counts import count
from app.ingest.enrich import kept_address
from app.ingest.firsts import Guesses
from app.ingest.look_back import Look, LookBack
from app.ingest.personal import PersonalData
from app.ingest.signals import SignalReader
from app.ingest.user_agents import USER_AGENT_CHARS
from app.lib import clock, ids
from app.models import record_line
from app.models.block import Block
from app.models.event import (
    AGAIN,
    FIRST,
    HIT_KINDS,
    Event,
    EventKind,
    Judgement,
    Share,
    Verdict,
    event_of,
)
from app.models.record import Record
from app.models.trace import KNOWN, known_bit, place_of

_OPENS = [KNOWN[EventKind.OPENED, share] for share in (Share.HUMAN, Share.PROXY)]
_UNCORRECTED = (False, b"", None, None)
"""The last fields of an event: it is neither implied nor a correction."""
_HONOURED = Judgement(Verdict.HUMAN, True, ("ok",))
"""What is reported, and an unsubscribe, whoever sent it: mail providers do it for the person."""


@dataclass(slots=True)
class Batch:
    """One batch on its way through the steps."""

    id: str
    lines: list[bytes]
    records: list[Record] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    look: Look = field(default_factory=Look)
    corrections: list[Event] = field(default_factory=list)
    """Of earlier verdicts. They are stored and counted already, and are to be told."""
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
    """Runs batches. One per process; it remembers no batch, only how each brand judges."""

    def __init__(
        self,
        *,
        attribution: Attribution,
        signals: SignalReader,
        personal: PersonalData,
        look_back: LookBack,
        events: ports.Events,
        unsubscribes: ports.Unsubscribes,
        outbox: ports.Outbox,
        counts: ports.Counts,
        dead_letters: ports.DeadLetters,
    ) -> None:
        self._attribution = attribution
        self._signals = signals
        self._personal = personal
        self._look_back = look_back
        self._judges: dict[str, Judge] = {}
        self._events = events
        self._unsubscribes = unsubscribes
        self._outbox = outbox
        self._counts = counts
        self._dead_letters = dead_letters
        self._steps: tuple[Callable[[Batch], None], ...] = (
            self.decode,
            self.attribute,
            self.suppress,
            self.classify,
            self.look_back,
            self.seal,
            self.store,
            self.correct,
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
        """Hits to events, each judged by itself, and with what the brand's policy lets us keep of the client."""
        recorded_ms = clock.now_ms()
        signals_of = self._signals.read((hit.record, hit.message, _is_trap(hit)) for hit in batch.hits)
        brands = {hit.brand.id: hit.brand for hit in batch.hits}
        alone = {brand_id: self._judge(brand).alone for brand_id, brand in brands.items()}
        for (record, brand, block, message, slot, kind, content), signals in zip(batch.hits, signals_of, strict=True):
            judgement = _HONOURED
            if kind in HIT_KINDS:
                judgement = alone[brand.id](kind, record.user_agent, signals, record.at_ms).judgement
            batch.events.append(
                event_of(
                    (
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
                        record.user_agent[:USER_AGENT_CHARS],
                        "" if brand.client_address_policy == "none" else kept_address(record.client),
                        record.headers.get("form") if kind is EventKind.UNSUBSCRIBED else None,
                        record.query,
                        (content.destination or "") if content is not None else "",
                        b"",
                        signals if kind in HIT_KINDS else 0,
                        *_UNCORRECTED,
                    )
                )
            )

    def look_back(self, batch: Batch) -> None:
        """The other hits of each message have their say."""
        if batch.events:
            batch.events, batch.look = self._look_back.before(batch.events, self._judges, batch.blocks)

    def seal(self, batch: Batch) -> None:
        """Messages of sealed tokens are registered, and what is personal of a hit is sealed for its recipient."""
        if batch.hits:
            batch.events = self._personal.keep(batch.hits, batch.events)

    def store(self, batch: Batch) -> None:
        """Guess which events are first, let MongoDB's unique index decide, and look where the guess was to wait."""
        if not batch.events:
            return
        guesses = Guesses(batch.look.traces)
        implied, perhaps = guesses.implied_opens(batch.events, batch.blocks)
        batch.events = self._events.insert(guesses.ranked([*batch.events, *implied]), batch.id)
        filled = guesses.filled(batch.events)
        if unsure := (guesses.unsure | {(event.message, bit) for event in perhaps for bit in _OPENS}) - filled:
            places = {place_of(*what) for what in unsure}
            batch.events, confirmed = self._events.confirm_firsts(batch.events, places)
            filled |= {(place[0], known_bit(place)) for place in confirmed}
        if missing := [one.with_rank(FIRST) for one in perhaps if not {(one.message, bit) for bit in _OPENS} & filled]:
            batch.events += self._events.insert(missing, batch.id)
        left = batch.look.left
        for message, known in filled:
            if message in left:
                left[message] |= known

    def correct(self, batch: Batch) -> None:
        """What this batch, or one stored at the same moment, says of events that are stored already."""
        if batch.events:
            batch.corrections = self._look_back.after(batch.events, batch.look, self._judges, batch.blocks, batch.id)

    def tell(self, batch: Batch) -> None:
        """A delivery per event and endpoint that wants it."""
        if events := [*batch.events, *batch.corrections]:
            batch.endpoints = self._outbox.write(events, batch.blocks)

    def mark(self, batch: Batch) -> None:
        """The end: what the batch counted, under its id, and the sign for the shipper that it is stored."""
        self._counts.mark(batch.id, count(batch.events), records=len(batch.lines), dropped=batch.dropped)

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
            judgement=_HONOURED,
            rank=FIRST,
            rules_version=RULES_VERSION,
            campaign_id=block.campaign_id,
        )
        batch.events = self._events.insert([event], batch.id)
        if not batch.events:
            # Another call was first between the look and the insert; its event belongs to the same batch.
            stored = self._events.find_first(message, EventKind.SENT)
            batch.events = [stored or event]
        sent = batch.events[0]
        self._judge(brand)
        self._look_back.hand_over(message, sent.at_ms)
        # Hits that were quicker than this report are judged again.
        batch.corrections = self._look_back.settle({message}, [sent], self._judges, batch.blocks, batch.id)
        self.tell(batch)
        self.mark(batch)
        return sent, batch

    def _judge(self, brand: Brand) -> Judge:
        judge = self._judges.get(brand.id)
        if judge is None or judge.policy is not brand.bots:
            judge = self._judges[brand.id] = Judge(brand.bots)
        return judge


def _is_trap(hit: Hit) -> bool:
    if hit.kind is not EventKind.CLICKED:
        return False
    link = hit.block.link_at(hit.slot)
    return link is not None and link.trap
