"""Events of two brands to search, in MongoDB and, when asked, in OpenSearch."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import Int64
from opensearchpy import OpenSearch
from pymongo.database import Database

from app.brands.brand import Brand, Page, Retention
from app.lib import ids
from app.models.block import Channel
from app.models.event import AGAIN, FIRST, PUBLIC_KINDS, Event, EventKind, Judgement, Verdict
from app.models.search import SearchQuery
from app.search.event_index import EventIndex
from app.search.indexer import Indexer
from app.search.names import Names
from app.storage.event_search import EventSearch
from app.storage.events import EventStore
from app.storage.search_state import SearchStates

# Midnight some days ago: hours and days of the histogram are the same whenever the tests run.
START = datetime.combine(datetime.now(UTC).date() - timedelta(days=6), datetime.min.time(), UTC)
START_MS = int(START.timestamp()) * 1000
HOUR = 3_600_000
HUMAN = Judgement(Verdict.HUMAN, True, ("ok",))
MACHINE = Judgement(Verdict.MACHINE, False, ("ua_bare", "datacenter_ip"))
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/199.0.0.0 Safari/537.36"
NEWS, JOBS = 1_000, 2_000
"""Starts of two blocks of `alder`."""
_slots = iter(range(10, 1 << 30))


def brand(brand_id: str = "alder", **days: int) -> Brand:
    """With other days of retention for some kinds."""
    kept = tuple((kind, days.get(kind.value, 395)) for kind in EventKind)
    return Brand(
        id=brand_id,
        name=brand_id,
        channels=frozenset(Channel),
        tracking_hosts=(f"t.{brand_id}.example",),
        sms_host=f"t.{brand_id}.example",
        page=Page(brand_id),
        retention=Retention(events=kept),
    )


def event(at_ms: int = 0, kind: EventKind = EventKind.OPENED, **fields: Any) -> Event:
    """Recorded so many milliseconds after `START`."""
    found = Event(
        id=ids.new_id(START_MS + at_ms),
        kind=kind,
        brand_id="alder",
        message=fields.get("message", NEWS),
        block=NEWS,
        slot=next(_slots),
        at_ms=START_MS + at_ms,
        recorded_ms=START_MS + at_ms,
        judgement=HUMAN,
        rank=FIRST if kind in (EventKind.SENT, EventKind.UNSUBSCRIBED) else AGAIN,
        rules_version="1",
    )
    return found._replace(**fields)


def query(brand_id: str = "alder", **fields: Any) -> SearchQuery:
    """Everything of a week by default."""
    since_ms = fields.pop("since", START_MS)
    kinds = fields.pop("kinds", PUBLIC_KINDS)
    times = fields.pop("since_ms", dict.fromkeys(kinds, since_ms))
    return SearchQuery(brand_id, times, fields.pop("until_ms", START_MS + 6 * 24 * HOUR), **fields)


@dataclass
class Corpus:
    """MongoDB's side, and OpenSearch's where there is a client."""

    database: Database[dict[str, Any]]
    client: OpenSearch | None = None

    def __post_init__(self) -> None:
        self.names = Names(f"t{secrets.token_hex(6)}")
        self.events = EventStore(self.database)
        self.stored = EventSearch(self.database)
        self.states = SearchStates(self.database)
        blocks = [
            {"_id": Int64(NEWS), "b": "alder", "l": "Weekly News"},
            {"_id": Int64(JOBS), "b": "alder", "j": "board-7"},
        ]
        self.database["blocks"].insert_many(blocks)

    @property
    def index(self) -> EventIndex:
        assert self.client is not None
        return EventIndex(self.client, self.names)

    def indexer(self, **options: Any) -> Indexer:
        options = {"index": self.index, "events": self.events, **options}
        return Indexer(stored=self.stored, states=self.states, **options)

    def add(self, *events: Event, brands: tuple[Brand, ...] = (brand("alder"), brand("birch"))) -> None:
        """Store events, and index what is not yet."""
        self.events.insert(list(events), secrets.token_hex(8))
        if self.client is not None:
            indexer = self.indexer()
            for one in brands:
                indexer.run(one, seconds=30)
