"""Whatever comes when and how often: verdicts are what all hits of a message say together, and figures equal a recount.

A Hypothesis state machine on real stores: hits of a few people and machines on a few messages, ingested late, twice,
at once, by runs that die after any step, with Redis emptied and `sent` reported in between. More of it:
`TELLTALE_SEQUENCES=10000 pytest tests/integration/ingest/test_any_order.py`.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from app.errors import StoreUnavailable
from app.ingest.classify import Judge
from app.ingest.revise import judge_together, revise
from app.lib import clock, ids
from app.models import record_line
from app.models.block import FIRST_LINK_SLOT, Block, Link
from app.models.count import CountKey
from app.models.event import HIT_KINDS, MACHINE_RANKS, PUBLIC_KINDS, Event, EventKind, Share
from app.models.record import RECORD_VERSION, HitKind, Record
from app.storage.count_query import CountQuery
from app.storage.event_documents import from_document
from app.storage.recount import recount
from tests.integration.conftest import World, store_block
from tests.unit.ingest.stories import CHROME, CURL, GOOGLE_PROXY, PHONE, SCANNER

SEQUENCES = int(os.environ.get("TELLTALE_SEQUENCES", "60"))
MESSAGES = 2
LINKS = (*(Link(f"https://shop.alder.example/{n}") for n in range(3)), Link("https://shop.alder.example/0", trap=True))
CLIENTS = (
    (CHROME.format(155), "203.0.113.7"),
    (PHONE, "198.51.100.20"),
    (CHROME.format(155), "198.51.100.99"),
    (SCANNER, "203.0.113.7"),
    (CURL, "192.0.2.50"),
    (GOOGLE_PROXY, "10.0.0.1"),
    ("Mozilla/5.0", "192.0.2.9"),
)
PEOPLE = CLIENTS[:3]
STEPS, STORED, CORRECTED = 10, 7, 8
"""Of the pipeline: all, and up to which the events and the corrections are in MongoDB."""
SPAN_MS = 40_000


class AnyOrder(RuleBasedStateMachine):
    world: World
    runs = 0

    @initialize()
    def begin(self) -> None:
        services = self.world.services
        type(self).runs += 1
        self.block = replace(
            store_block(services, count=MESSAGES, links=LINKS),
            campaign_id=f"any-{type(self).runs}-{ids.new_id().hex()}",
        )
        services.database["blocks"].update_one({"_id": self.block.start}, {"$set": {"c": self.block.campaign_id}})
        services.cache.flushdb()
        # An old Redis that knows everything, until a rule empties it.
        services.cache.set(f"telltale:trace:{services.store_id}:since", 0)
        self.base_ms = clock.now_ms() - 3_600_000
        self.records: dict[str, Record] = {}
        self.pending: list[bytes] = []
        self.batches: dict[str, list[bytes]] = {}
        self.unfinished: set[str] = set()
        self.sent: dict[int, int] = {}

    @rule(
        message=st.integers(0, MESSAGES - 1),
        slot=st.sampled_from((0, 1, 2, 4, 5, 6, 4, 5, 6, 7)),
        client=st.sampled_from(CLIENTS),
        offset=st.integers(0, SPAN_MS),
    )
    def hit(self, message: int, slot: int, client: tuple[str, str], offset: int) -> None:
        self._hit(message, slot, client, offset)

    @rule(message=st.integers(0, MESSAGES - 1), client=st.sampled_from(CLIENTS), offset=st.integers(0, SPAN_MS))
    def burst(self, message: int, client: tuple[str, str], offset: int) -> None:
        for place in range(3):
            self._hit(message, FIRST_LINK_SLOT + place, client, offset + 300 * place)

    @rule(data=st.data(), message=st.integers(0, MESSAGES - 1), gap=st.integers(0, 12_000))
    def person_and_machine(self, data: st.DataObject, message: int, gap: int) -> None:
        """One after the other, each ingested by itself; the machine may be the first, or know the hidden link."""
        person = data.draw(st.sampled_from(PEOPLE))
        slot = data.draw(st.sampled_from((1, 4, 5)))
        if data.draw(st.booleans()):
            steps = [(message, slot, person, 15_000), (message, 7, person, 15_000 + gap)]
        else:
            machine = data.draw(st.sampled_from(CLIENTS[3:5]))
            steps = [(message, 5, machine, 15_000), (message, slot, person, 15_000 + gap)]
        for step in data.draw(st.permutations(steps)):
            self._hit(*step)
            self._run(self._take(1, True))

    @rule(
        message=st.integers(0, MESSAGES - 1),
        person=st.sampled_from(PEOPLE),
        offset=st.integers(0, SPAN_MS),
        steps=st.sampled_from((STORED, CORRECTED, STEPS)),
    )
    def die_and_be_corrected(self, message: int, person: tuple[str, str], offset: int, steps: int) -> None:
        """A run dies between storing and its marker, and another one corrects what it stored; it may die too."""
        self._hit(message, FIRST_LINK_SLOT, person, offset)
        self._die(self._take(1, True), STORED)
        for place in (1, 2):
            self._hit(message, FIRST_LINK_SLOT + place, person, offset + 500 * place)
        self._die(self._take(2, True), steps)

    @rule(take=st.integers(1, 4), last=st.booleans())
    def ingest(self, take: int, last: bool) -> None:
        batch = self._take(take, last)
        if batch:
            self._run(batch)

    @rule(take=st.integers(1, 3))
    def two_at_once(self, take: int) -> None:
        both = [batch for batch in (self._take(take, False), self._take(take, True)) if batch]
        threads = [threading.Thread(target=self._run, args=(batch,)) for batch in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    @rule(take=st.integers(1, 3), steps=st.integers(1, STEPS - 1))
    def die_after_a_step(self, take: int, steps: int) -> None:
        if batch := self._take(take, False):
            self._die(batch, steps)

    @rule(data=st.data())
    def again(self, data: st.DataObject) -> None:
        if self.batches:
            batch = data.draw(st.sampled_from(sorted(self.batches)))
            self._run(batch)
            self.unfinished.discard(batch)

    @rule(message=st.integers(0, MESSAGES - 1), offset=st.integers(-2000, SPAN_MS))
    def report_sent(self, message: int, offset: int) -> None:
        services = self.world.services
        brand = services.brands.by_id("alder")
        assert brand is not None
        event, _ = services.ingest.record_sent(brand, self.block, self._number(message), self.base_ms + offset)
        self.sent.setdefault(message, event.at_ms)

    @rule()
    def lose_redis(self) -> None:
        self.world.services.cache.flushdb()

    @rule()
    def compact(self) -> None:
        self.world.services.batches.compact()

    def teardown(self) -> None:
        if not hasattr(self, "pending"):
            return
        for batch in sorted(self.unfinished):
            self._run(batch)
        if self.pending:
            self._run(self._take(len(self.pending), False))
        self._check()

    def _die(self, batch: str, steps: int) -> None:
        pipeline = self.world.services.ingest
        whole = pipeline._steps  # the list of steps is what a death cuts short
        pipeline._steps = whole[:steps]
        try:
            self._run(batch)
        finally:
            pipeline._steps = whole
        self.unfinished.add(batch)

    def _hit(self, message: int, slot: int, client: tuple[str, str], offset: int) -> None:
        at_ms = self.base_ms + offset
        kind = HitKind.OPEN if slot < 2 else HitKind.UNSUBSCRIBE if slot == 2 else HitKind.CLICK
        number = self._number(message) + slot
        record = Record(
            RECORD_VERSION,
            ids.new_id(at_ms).hex(),
            kind,
            at_ms,
            "t.alder.example",
            self.world.services.codes.encode(number),
            "GET",
            client[1],
            client[0],
            number=number,
            facts="slm",  # what a browser says over https
        )
        self.records[record.hex_id] = record
        self.pending.append(record_line.encode(record))

    def _number(self, message: int) -> int:
        return self.block.start + message * self.block.stride

    def _take(self, take: int, last: bool) -> str:
        """A batch of some of the waiting lines, the oldest or the newest."""
        lines = self.pending[-take:] if last else self.pending[:take]
        self.pending = self.pending[:-take] if last else self.pending[take:]
        if not lines:
            return ""
        batch = f"{self.block.campaign_id}-{len(self.batches)}"
        self.batches[batch] = lines
        return batch

    def _run(self, batch: str) -> None:
        """As the task does: a batch that met a store in the way is run again."""
        for left in (2, 1, 0):
            try:
                self.world.services.ingest.run(batch, b"".join(self.batches[batch]))
                return
            except StoreUnavailable:
                if not left:
                    raise

    def _check(self) -> None:
        database = self.world.services.database
        numbers = [self._number(message) for message in range(MESSAGES)]
        documents = list(database["events"].find({"m": {"$in": numbers}}))
        events = [from_document(document) for document in documents]
        self._check_verdicts(events)
        self._check_ranks(events)
        found = self.world.services.batches.figures("alder", CountQuery(campaign_ids=[self.block.campaign_id or ""]))
        assert {key: number for key, number in found.items() if number} == dict(_counted(events, documents))
        told = {
            f"{ids.event_id_text(event.id)}:alder-main"
            for event in events
            if event.kind in PUBLIC_KINDS and not event.implied
        }
        every = [f"{ids.event_id_text(event.id)}:alder-main" for event in events]
        waiting = {row["_id"] for row in database["deliveries"].find({"_id": {"$in": every}}, {"_id": 1})}
        assert waiting == told, "each is told, and nothing else"

    def _check_verdicts(self, events: list[Event]) -> None:
        """Every hit is there once, and has the verdict that all hits of its message together give."""
        judge = Judge(self.world.services.brands.by_id("alder").bots)  # type: ignore[union-attr]
        hits = [event for event in events if event.kind in HIT_KINDS and not event.implied]
        assert sorted(event.id.hex() for event in hits) == sorted(self.records)
        for message in range(MESSAGES):
            mine = [event for event in events if event.message == self._number(message)]
            judged = judge_together(mine, judge, self.block)
            assert {event.id: event.judgement for event in mine if event.id in judged} == {
                event_id: chapter.judgement for event_id, chapter in judged.items()
            }
            assert not revise(mine, judge, self.block).changes
            told = [event for event in mine if event.kind is EventKind.RECLASSIFIED]
            for event in told:
                assert event.before is not None
                assert (event.before.verdict, event.before.counted) != (
                    event.judgement.verdict,
                    event.judgement.counted,
                )

    def _check_ranks(self, events: list[Event]) -> None:
        """Uniques by rank are the numbers of messages that have such an event at all."""
        for kind in (EventKind.OPENED, EventKind.CLICKED):
            mine = [event for event in events if event.kind is kind]
            counted = [event for event in mine if event.judgement.counted]
            assert sum(event.rank == 0 for event in mine) == len({event.message for event in counted})
            for share in Share:
                of_share = [event for event in mine if event.judgement.share is share]
                if share in MACHINE_RANKS:
                    ranked = [event for event in of_share if event.rank == MACHINE_RANKS[share]]
                else:
                    of_share = [event for event in of_share if event.judgement.counted]
                    ranked = [event for event in of_share if event.rank in (0, 1)]
                assert len(ranked) == len({event.message for event in of_share})
        opened, clicked = (
            {event.message for event in events if event.kind is kind and event.judgement.counted}
            for kind in (EventKind.OPENED, EventKind.CLICKED)
        )
        assert clicked <= opened, "a counted click says that the message was open"


def _counted(events: list[Event], documents: list[dict[str, Any]]) -> Counter[CountKey]:
    """A recount from the documents themselves."""
    total: Counter[CountKey] = Counter()
    for event, document in zip(events, documents, strict=True):
        part = ""
        if document["k"] == 2:
            part = "implied" if document.get("im") else ("header", "footer")[document["s"]]
        day = clock.from_ms(int(document["at"])).date().isoformat()
        rank = document["f"] if isinstance(document["f"], int) else -1
        key = (document["b"], document["c"], day, event.kind, event.judgement.share, document["n"], rank, part)
        total[CountKey(*key)] += 1
    return total


def test_verdicts_and_figures_do_not_depend_on_the_order_of_things(world: World) -> None:
    AnyOrder.world = world
    run_state_machine_as_test(
        AnyOrder,
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=14,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert AnyOrder.runs >= SEQUENCES // 2
    services = world.services
    while services.batches.compact():
        pass
    figures = {key: number for key, number in services.batches.figures("alder").items() if number}
    assert figures == dict(recount(services.database, "alder"))


def test_a_block_of_this_world_has_a_trap(world: World) -> None:
    block: Block = store_block(world.services, count=1, links=LINKS)
    stored = world.services.block_cache.find(block.start)
    assert stored is not None
    assert [link.trap for link in stored.links] == [False, False, False, True]
