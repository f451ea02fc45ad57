"""Counts everything anew from `events`, as if there were no rollups: what figures are held against.

Grouped exactly as ingest counts (`app.ingest.pipeline`); a corrected event counts as what it is now.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pymongo
from bson import Int64
from pymongo.database import Database

from app.models.block import Slot
from app.models.count import CountKey
from app.models.event import AGAIN, APPLE_PREFETCH, EventKind, Judgement
from app.storage.client import Document, translated
from app.storage.event_documents import KIND_CODES, KINDS, VERDICTS

_SECONDS = 600.0
_PARTS = {int(Slot.PIXEL_HEADER): "header", int(Slot.PIXEL_FOOTER): "footer"}
_OPENED = KIND_CODES[EventKind.OPENED]

# What a `CountKey` is made of, of one event. Events of before 1970-01-25 have a time that fits a smaller integer.
_KEY: Document = {
    "c": {"$ifNull": ["$c", ""]},
    "d": {"$dateToString": {"date": {"$toDate": {"$toLong": "$at"}}, "format": "%Y-%m-%d"}},
    "k": "$k",
    "v": "$v",
    "apple": {"$in": [APPLE_PREFETCH, "$r"]},
    "n": "$n",
    "f": {"$cond": [{"$isNumber": "$f"}, "$f", AGAIN]},
    "s": {"$cond": [{"$eq": ["$k", _OPENED]}, "$s", None]},
    "im": {"$ifNull": ["$im", False]},
}


def recount(
    database: Database[Document], brand_id: str, *, first_day: date | None = None, last_day: date | None = None
) -> Counter[CountKey]:
    """What a brand's stored events add up to.

    Reads every event of the brand: for tests and operators, not for a person who waits. Events that are stored while
    it runs may or may not be in it, and rollups reach back further than events are kept.

    Args:
        first_day: leaves out what happened before this UTC date.
        last_day: leaves out what happened after it.

    Raises:
        StoreUnavailable: also when it takes longer than ten minutes.
    """
    # By kinds, so that the index `by_brand_and_kind` leads.
    match: Document = {"b": {"$eq": brand_id}, "k": {"$in": sorted(KINDS)}}
    if at := _between(first_day, last_day):
        match["at"] = at
    pipeline = [{"$match": match}, {"$group": {"_id": _KEY, "number": {"$sum": 1}}}]
    totals: Counter[CountKey] = Counter()
    with translated(), pymongo.timeout(_SECONDS):
        for row in database["events"].aggregate(pipeline):
            totals[_key(brand_id, row["_id"])] += row["number"]
    return totals


def _between(first_day: date | None, last_day: date | None) -> Document:
    found: Document = {}
    if first_day is not None:
        found["$gte"] = _start_ms(first_day)
    if last_day is not None:
        found["$lt"] = _start_ms(last_day + timedelta(days=1))
    return found


def _start_ms(day: date) -> Int64:
    return Int64(int(datetime.combine(day, time(), UTC).timestamp()) * 1000)


def _key(brand_id: str, found: dict[str, Any]) -> CountKey:
    reasons = (APPLE_PREFETCH,) if found["apple"] else ()
    return CountKey(
        brand_id=brand_id,
        campaign_id=found["c"],
        day=found["d"],
        kind=KINDS[found["k"]].value,
        share=Judgement(VERDICTS[found["v"]], found["n"], reasons).share.value,
        counted=found["n"],
        rank=int(found["f"]),
        part="implied" if found["im"] else _PARTS.get(found["s"], ""),
    )
