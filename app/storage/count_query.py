"""Which counts are asked for, and the two MongoDB pipelines that add them up: over `rollups`, and over the markers in
`batches` that are not in the rollups yet. `app.storage.batches` runs both at one moment.

Counts from before ranks and parts have `True` or `False` in the place of the rank and end with it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.models.count import CountKey
from app.models.event import AGAIN, FIRST
from app.storage.client import Document

LETTERS = "bcdkvnfp"
"""The fields of a `CountKey` as a rollup's `_id` names them, in their order; a marker has them as an array."""
_PART = LETTERS.index("p")


@dataclass(frozen=True, slots=True)
class CountQuery:
    first_day: date = date.min
    last_day: date = date.max
    """Of the hits, in UTC, both inclusive."""
    campaign_ids: Collection[str] | None = None
    """Only of these; an empty one stands for messages without a campaign."""
    after_campaign: str | None = None
    """Only of campaigns whose id sorts behind this one."""
    by_day: bool = True
    by_campaign: bool = True
    """False: added up in MongoDB, the field of the keys is empty."""

    def rollups(self, brand_id: str) -> list[Document]:
        fields = {letter: f"$_id.{letter}" for letter in LETTERS}
        return [self._of_rollups(brand_id), self._added_up(fields, "$count")]

    def markers(self, brand_id: str) -> list[Document]:
        fields: dict[str, Any] = {letter: _value(index) for index, letter in enumerate(LETTERS)}
        # Behind the fields stands the number.
        fields["p"] = {"$cond": [{"$gt": [{"$size": "$counts"}, _PART + 1]}, fields["p"], ""]}
        return [*self._of_markers(brand_id), self._added_up(fields, {"$last": "$counts"})]

    def campaigns_in_rollups(self, brand_id: str, most: int) -> list[Document]:
        """The pipeline for the first campaigns by id; their rows have nothing but `_id`."""
        return [self._of_rollups(brand_id), *_first_groups("$_id.c", most)]

    def campaigns_in_markers(self, brand_id: str, most: int) -> list[Document]:
        return [*self._of_markers(brand_id), *_first_groups(_value(LETTERS.index("c")), most)]

    def _of_rollups(self, brand_id: str) -> Document:
        return {"$match": {"b": {"$eq": brand_id}, **self._conditions(day="d", campaign="_id.c")}}

    def _of_markers(self, brand_id: str) -> list[Document]:
        place = {letter: f"counts.{index}" for index, letter in enumerate(LETTERS)}
        match = {place["b"]: {"$eq": brand_id}, **self._conditions(day=place["d"], campaign=place["c"])}
        return [
            {"$match": {"open": {"$exists": True}}},
            {"$project": {"counts": 1}},
            {"$unwind": "$counts"},
            {"$match": match},
        ]

    def _conditions(self, *, day: str, campaign: str) -> Document:
        found: Document = {day: {"$gte": self.first_day.isoformat(), "$lte": self.last_day.isoformat()}}
        wanted: Document = {}
        if self.campaign_ids is not None:
            wanted["$in"] = list(self.campaign_ids)
        if self.after_campaign is not None:
            wanted["$gt"] = self.after_campaign
        return {**found, campaign: wanted} if wanted else found

    def _added_up(self, fields: dict[str, Any], number: Any) -> Document:
        key = dict(fields)
        if not self.by_day:
            key["d"] = {"$literal": ""}
        if not self.by_campaign:
            key["c"] = {"$literal": ""}
        return {"$group": {"_id": key, "number": {"$sum": number}}}


def _value(index: int) -> Document:
    return {"$arrayElemAt": ["$counts", index]}


def _first_groups(field: Any, most: int) -> list[Document]:
    return [{"$group": {"_id": field}}, {"$sort": {"_id": 1}}, {"$limit": most}]


EVERYTHING = CountQuery()


def key_of_values(values: Sequence[Any]) -> CountKey:
    """A key from its stored fields in order; those from before ranks end with whether the event was the first."""
    brand_id, campaign_id, day, kind, share, counted, rank, *part = values
    if isinstance(rank, bool):
        rank = FIRST if rank else AGAIN
    return CountKey(brand_id, campaign_id, day, kind, share, counted, int(rank), *part)


def key_of_identity(identity: Document) -> CountKey:
    """A key from the `_id` of a rollup or of what the pipelines answer; `p` is missing in old ones."""
    return key_of_values([identity.get(letter, "") for letter in LETTERS])
