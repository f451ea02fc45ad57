"""Clicks per link, counted exactly from `events`: counts know of campaigns and days, not of links.

What a link is called and where it leads stands in its block; `app.analytics.links` joins both.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pymongo
from bson import Int64
from pymongo import IndexModel
from pymongo.database import Database

from app.models.block import FIRST_LINK_SLOT
from app.models.count import CountKey
from app.models.event import AGAIN, APPLE_PREFETCH, FIRST, FIRST_APPLE, FIRST_MACHINE, EventKind, Judgement, Share
from app.storage.client import Document, translated
from app.storage.event_documents import KIND_CODES, VERDICTS
from app.tracking.codes import TOKEN_NUMBERS

_CLICKED = KIND_CODES[EventKind.CLICKED]
_BY_TOKEN = {"$gte": ["$bl", Int64(TOKEN_NUMBERS)]}
_FIRST_UNCOUNTED = {Share.MACHINE: FIRST_MACHINE, Share.APPLE: FIRST_APPLE}

INDEXES = (
    IndexModel(
        [("b", 1), ("c", 1), ("bl", 1), ("at", 1)],
        # Only clicks of campaigns: the many opens pay nothing for it.
        partialFilterExpression={"k": _CLICKED, "c": {"$exists": True}},
        name="clicks_of_campaign",
    ),
)


@dataclass(frozen=True, slots=True)
class ClickQuery:
    """The clicks of a campaign or of a message, of hits from `first_ms` to before `end_ms`."""

    brand_id: str
    first_ms: int
    end_ms: int
    campaign_id: str | None = None
    message: int | None = None

    def match(self) -> Document:
        found: Document = {"b": {"$eq": self.brand_id}, "k": _CLICKED}
        if self.campaign_id is not None:
            found["c"] = {"$eq": self.campaign_id}
        if self.message is not None:
            found["m"] = Int64(self.message)
        return {**found, "at": {"$gte": Int64(self.first_ms), "$lt": Int64(self.end_ms)}}


class Joined(NamedTuple):
    """Blocks with one link table, in which some slots are counted as one link."""

    blocks: Sequence[int]
    slots: Sequence[int]
    """For each link of the table the slot it is counted under."""


class LinkClicks(NamedTuple):
    block: int | None
    """None: links of sealed tokens, which have no block."""
    slot: int
    counts: Counter[CountKey]
    """Ranked within the link: one event of each message that clicked it is the first. Brand, campaign and day
    are empty."""
    personal: bytes
    """Of one of a token's clicks, as in `Event.personal`; empty when no such click has it any more."""


class TooManyRows(Exception):
    """What was asked for is more than one answer holds."""


def clicks_per_link(
    database: Database[Document], query: ClickQuery, *, most: int, seconds: float, joined: Sequence[Joined] = ()
) -> list[LinkClicks]:
    """Counts by block and slot, each message once per link however often it clicked.

    Args:
        most: rows of the database at most; a block's link has up to three of them.
        joined: only the clicks of these blocks.

    Raises:
        TooManyRows: there are more.
        StoreUnavailable: also when it takes longer than `seconds` in all.
    """
    rows: list[Document] = []
    with translated(), pymongo.timeout(seconds):
        for table in joined or (None,):
            pipeline = _pipeline(query, table, most + 1 - len(rows))
            rows += database["events"].aggregate(pipeline)
            if len(rows) > most:
                raise TooManyRows
    counts: defaultdict[tuple[int | None, int], Counter[CountKey]] = defaultdict(Counter)
    personal: dict[tuple[int | None, int], bytes] = {}
    for row in rows:
        place = row["_id"].get("bl"), row["_id"]["s"]
        counts[place].update(_counts(row))
        if row["p"]:
            personal[place] = bytes(row["p"])
    return [LinkClicks(*place, found, personal.get(place, b"")) for place, found in counts.items()]


def _pipeline(query: ClickQuery, table: Joined | None, limit: int) -> list[Document]:
    match = query.match()
    if table is not None:
        match["bl"] = {"$in": [Int64(start) for start in table.blocks]}
    link = {
        "bl": {"$cond": [_BY_TOKEN, None, "$bl"]},
        "s": "$s" if table is None else _joined_slot(table.slots),
        "v": "$v",
        "n": "$n",
        "apple": {"$in": [APPLE_PREFETCH, "$r"]},
    }
    # A set of messages, and not a group for each message first, is a third faster. A block has a thousand at most.
    messages = {"$addToSet": "$m"}
    personal = {"$max": {"$cond": [_BY_TOKEN, "$p", None]}}
    return [
        {"$match": match},
        {"$group": {"_id": link, "number": {"$sum": 1}, "messages": messages, "p": personal}},
        {"$limit": limit},
        {"$set": {"messages": {"$size": "$messages"}}},
    ]


def _joined_slot(slots: Sequence[int]) -> Document:
    return {"$arrayElemAt": [list(slots), {"$subtract": ["$s", FIRST_LINK_SLOT]}]}


def _counts(row: Document) -> Counter[CountKey]:
    """A counted click is always a person's, so its first of a share is its first of all."""
    verdict, counted, apple = VERDICTS[row["_id"]["v"]], row["_id"]["n"], row["_id"]["apple"]
    share = Judgement(verdict, counted, (APPLE_PREFETCH,) if apple else ()).share
    first = FIRST if counted else _FIRST_UNCOUNTED.get(share, AGAIN)
    counts: Counter[CountKey] = Counter()
    for rank, number in ((first, row["messages"]), (AGAIN, row["number"] - row["messages"])):
        if number:
            counts[CountKey("", "", "", EventKind.CLICKED.value, share.value, counted, rank)] += number
    return counts
