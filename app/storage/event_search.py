"""Searching `events` itself: what answers where there is no search index, or none that is up to date.

Everything goes along the index `by_brand_and_kind`, the latest first; whatever that index does not say is looked at
event by event, within a deadline. List and job source are the block's, looked up only when they are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymongo
from bson import Int64
from pymongo.database import Database
from pymongo.errors import ExecutionTimeout

from app.models.event import Event, EventKind
from app.models.search import (
    MOST_VALUES,
    Facet,
    FacetCounts,
    Interval,
    References,
    SearchPlace,
    SearchQuery,
    Summary,
    TooWide,
    Word,
    unfold,
)
from app.storage.client import Document, translated
from app.storage.event_documents import KIND_CODES, KINDS, VERDICT_CODES, VERDICTS, from_document
from app.tracking.codes import TOKEN_NUMBERS

_CLICKED = KIND_CODES[EventKind.CLICKED]
_HINT = "by_brand_and_kind"
_BETWEEN_WORDS = r"[\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]"
"""The characters of ASCII that `app.models.search.WORD` leaves out."""
_OF_EVENT = ("ua", "c", "r")
_OF_BLOCK = ("block.l", "block.j")
_LATEST_FIRST = {"rt": -1, "_id": -1}


class EventSearch:
    """A `Finder` (app.models.search)."""

    def __init__(self, database: Database[Document]) -> None:
        self._events = database["events"]
        self._blocks = database["blocks"]

    def page(self, query: SearchQuery, *, before: SearchPlace | None, limit: int, seconds: float) -> list[SearchPlace]:
        pipeline = [
            {"$match": _match(query, before)},
            {"$sort": _LATEST_FIRST},
            *_by_block(query),
            {"$limit": limit},
            {"$project": {"rt": 1}},
        ]
        return [(int(row["rt"]), bytes(row["_id"])) for row in self._aggregate(pipeline, seconds)]

    def summary(
        self, query: SearchQuery, *, facets: Iterable[Facet], interval: Interval | None, seconds: float
    ) -> Summary:
        parts: Document = {"sums": [{"$group": {"_id": None, **_SUMS}}]}
        wanted = tuple(facets)
        parts |= {facet.value: _FACETS[facet] for facet in wanted}
        if interval is not None:
            start = {"$subtract": ["$rt", {"$mod": ["$rt", Int64(interval.ms)]}]}
            parts["histogram"] = [{"$group": {"_id": start, "n": {"$sum": 1}}}, {"$sort": {"_id": 1}}]
        shown = {"$project": {"k": 1, "v": 1, "r": 1, "c": 1, "rt": 1}}
        pipeline = [{"$match": _match(query, None)}, *_by_block(query), shown, {"$facet": parts}]
        (found,) = self._aggregate(pipeline, seconds)
        sums = found["sums"][0] if found["sums"] else {"total": 0, "reasons": 0, "campaigns": 0}
        return Summary(
            total=sums["total"],
            facets={facet: _counts(facet, found[facet.value], sums) for facet in wanted},
            histogram=[(int(row["_id"]), row["n"]) for row in found.get("histogram", ())],
        )

    def by_ids(self, brand_id: str, event_ids: Sequence[bytes]) -> dict[bytes, Event]:
        """A brand's events by id, without those that are not there."""
        with translated():
            rows = self._events.find({"_id": {"$in": list(event_ids)}, "b": {"$eq": brand_id}})
            return {bytes(row["_id"]): from_document(row) for row in rows}

    def clicked_blocks(self, brand_id: str, campaign_id: str, *, most: int, seconds: float) -> list[int]:
        """The blocks of a campaign that have clicks, by their starts.

        Raises:
            TooWide: there are more than `most`, or they are not found in time.
        """
        match = {"b": {"$eq": brand_id}, "c": {"$eq": campaign_id}, "k": _CLICKED, "bl": {"$lt": Int64(TOKEN_NUMBERS)}}
        pipeline: list[Document] = [{"$match": match}, {"$group": {"_id": "$bl"}}, {"$limit": most + 1}]
        with _bounded(seconds):
            rows = list(self._events.aggregate(pipeline, hint="clicks_of_campaign"))
        if len(rows) > most:
            raise TooWide
        return sorted(int(row["_id"]) for row in rows)

    def references(self, blocks: Collection[int]) -> dict[int, References]:
        """What blocks belong to, by their starts; opens nothing. A sealed token's message has no block."""
        query = {"_id": {"$in": [Int64(start) for start in blocks if start < TOKEN_NUMBERS]}}
        with translated():
            rows = self._blocks.find(query, {"l": 1, "j": 1})
            return {int(row["_id"]): References(row.get("l"), row.get("j")) for row in rows}

    def _aggregate(self, pipeline: Sequence[Document], seconds: float) -> list[Document]:
        with _bounded(seconds):
            return list(self._events.aggregate(list(pipeline), hint=_HINT, allowDiskUse=False))


@contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    with translated():
        try:
            with pymongo.timeout(seconds):
                yield
        except ExecutionTimeout as error:
            raise TooWide from error


def _match(query: SearchQuery, before: SearchPlace | None) -> Document:
    """What the events themselves say. `im`: implied opens are in no list."""
    times = {"$gte": Int64(query.first_ms), "$lt": Int64(query.until_ms)}
    found: Document = {
        "b": {"$eq": query.brand_id},
        "k": {"$in": sorted(KIND_CODES[kind] for kind in query.since_ms)},
        "rt": times,
        "im": {"$exists": False},
    }
    every: list[Document] = []
    if len(set(query.since_ms.values())) > 1:
        kinds = query.since_ms.items()
        every.append({"$or": [{"k": KIND_CODES[kind], "rt": {"$gte": Int64(since)}} for kind, since in kinds]})
    if before is not None:
        recorded, event_id = Int64(before[0]), before[1]
        times["$lt"] = min(times["$lt"], Int64(before[0] + 1))
        every.append({"$or": [{"rt": {"$lt": recorded}}, {"rt": recorded, "_id": {"$lt": event_id}}]})
    every += [{"m": Int64(number)} for number in query.messages]
    if query.links is not None:
        every.append({"$or": [{"s": slot, "bl": {"$in": list(map(Int64, blocks))}} for slot, blocks in query.links]})
    plain = {
        "v": None if query.verdict is None else VERDICT_CODES[query.verdict],
        "n": query.counted,
        "r": query.reason,
        "c": query.campaign_id,
    }
    found |= {name: {"$eq": value} for name, value in plain.items() if value is not None}
    return {**found, "$and": every} if every else found


def _by_block(query: SearchQuery) -> list[Document]:
    """The steps for what is not, or not only, in the events themselves."""
    plain = {"block.l": query.list_id, "block.j": query.job_source}
    asked: list[Document] = [{name: {"$eq": value}} for name, value in plain.items() if value is not None]
    asked += [_has(word) for word in query.words]
    if not asked:
        return []
    # The whole block: with a pipeline that takes two fields of it, MongoDB 6 needs four times as long.
    block = {"from": "blocks", "localField": "bl", "foreignField": "_id", "as": "block"}
    return [{"$lookup": block}, {"$match": {"$and": asked}}]


def _has(word: Word) -> Document:
    pattern = {"$regex": _pattern(word)}
    return {"$or": [{name: pattern} for name in (*_OF_EVENT, *_OF_BLOCK)]}


def _pattern(word: Word) -> str:
    """Only what we made of the word's own characters: nothing that somebody wrote means anything in it."""
    letters = "".join(
        re.escape(char) if len(unfold(char)) == 1 else f"[{re.escape(unfold(char))}]" for char in word.text
    )
    return f"(?:^|{_BETWEEN_WORDS}){letters}" + ("" if word.beginning else f"(?:$|{_BETWEEN_WORDS})")


_SUMS: Document = {
    "total": {"$sum": 1},
    "reasons": {"$sum": {"$size": "$r"}},
    "campaigns": {"$sum": {"$cond": [{"$eq": [{"$type": "$c"}, "string"]}, 1, 0]}},
}


def _grouped(field: str) -> list[Document]:
    group = {"$group": {"_id": field, "n": {"$sum": 1}}}
    return [group, {"$sort": {"n": -1, "_id": 1}}, {"$limit": MOST_VALUES}]


_FACETS: dict[Facet, list[Document]] = {
    Facet.TYPE: _grouped("$k"),
    Facet.VERDICT: _grouped("$v"),
    Facet.REASON: [{"$unwind": "$r"}, *_grouped("$r")],
    Facet.CAMPAIGN: [{"$match": {"c": {"$exists": True}}}, *_grouped("$c")],
}


_ALL_OF = {Facet.REASON: "reasons", Facet.CAMPAIGN: "campaigns"}


def _counts(facet: Facet, rows: Sequence[Document], sums: Document) -> FacetCounts:
    values = [(_name(facet, row["_id"]), int(row["n"])) for row in rows]
    all_of_it = int(sums[_ALL_OF.get(facet, "total")])
    values.sort(key=lambda value: (-value[1], value[0]))
    return FacetCounts(values, all_of_it - sum(number for _, number in values))


def _name(facet: Facet, value: Any) -> str:
    if facet is Facet.TYPE:
        return KINDS[value].public_type
    return VERDICTS[value].value if facet is Facet.VERDICT else str(value)
