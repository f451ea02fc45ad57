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
    by_day: bool = True
    by_campaign: bool = True
    """False: added up in MongoDB, the field of the keys is empty."""

    def rollups(self, brand_id: str) -> list[Document]:
        match = {"b": {"$eq": brand_id}, **self._conditions(day="d", campaign="_id.c")}
        fields = {letter: f"$_id.{letter}" for letter in LETTERS}
        return [{"$match": match}, self._added_up(fields, "$count")]

    def markers(self, brand_id: str) -> list[Document]:
        place = {letter: f"counts.{index}" for index, letter in enumerate(LETTERS)}
        match = {place["b"]: {"$eq": brand_id}, **self._conditions(day=place["d"], campaign=place["c"])}
        fields: dict[str, Any] = {
            letter: {"$arrayElemAt": ["$counts", index]} for index, letter in enumerate(LETTERS) if index < _PART
        }
        # Behind the fields stands the number.
        fields["p"] = {"$cond": [{"$gt": [{"$size": "$counts"}, _PART + 1]}, {"$arrayElemAt": ["$counts", _PART]}, ""]}
        return [
            {"$match": {"open": {"$exists": True}}},
            {"$project": {"counts": 1}},
            {"$unwind": "$counts"},
            {"$match": match},
            self._added_up(fields, {"$last": "$counts"}),
        ]

    def _conditions(self, *, day: str, campaign: str) -> Document:
        found: Document = {day: {"$gte": self.first_day.isoformat(), "$lte": self.last_day.isoformat()}}
        if self.campaign_ids is not None:
            found[campaign] = {"$in": list(self.campaign_ids)}
        return found

    def _added_up(self, fields: dict[str, Any], number: Any) -> Document:
        key = dict(fields)
        if not self.by_day:
            key["d"] = {"$literal": ""}
        if not self.by_campaign:
            key["c"] = {"$literal": ""}
        return {"$group": {"_id": key, "number": {"$sum": number}}}


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
