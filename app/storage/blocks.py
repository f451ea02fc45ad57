"""The collection `blocks`: one document per request, however many recipients. Never deleted, never changed.

`block_cache` stands in front of it. Destinations are sealed: a link may carry what its author knows of a person. They
are everybody's who got the message, so it is the brand's key that seals them; `kn` is its number (absent: the first).
Only a rotation of that key seals a block anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import orjson
from bson import Int64
from pymongo import ASCENDING, IndexModel, UpdateOne
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.errors import PermanentError
from app.models.block import Block, Channel, Link
from app.models.sealed import SealedField
from app.storage.client import Document, translated


class Sealer(Protocol):
    """What storage needs of `app.privacy.keyring.Keyring`."""

    def seal(self, brand_id: str, purpose: str, plaintext: bytes) -> bytes: ...
    def open(self, brand_id: str, purpose: str, sealed: bytes) -> bytes: ...
    def number_of(self, sealed: bytes) -> int: ...


FIRST_KEY = 1
"""The key of documents from before keys were counted."""


class Blocks:
    """Shard key: `_id` (ranged): numbers of different brands interleave, look-ups are by range of `_id`."""

    purpose = "block"
    # What a rotation has still to seal anew.
    INDEXES = (IndexModel([("b", ASCENDING), ("kn", ASCENDING)], name="by_key"),)

    def __init__(self, database: Database[Document], sealer: Sealer) -> None:
        self._blocks = database["blocks"]
        self._sealer = sealer

    def insert(self, block: Block) -> None:
        """Store a block before any of its codes is shown to anyone. Storing the same block twice is harmless.

        Raises:
            PermanentError: another brand's block has this start; that cannot happen while numbers are unique.
        """
        with translated():
            try:
                self._blocks.insert_one(self.to_document(block))
            except DuplicateKeyError:
                stored = self._blocks.find_one({"_id": block.start}, {"b": 1, "end": 1})
                if not stored or stored["b"] != block.brand_id or stored["end"] != block.end:
                    raise PermanentError("two blocks with one start") from None

    def find_document(self, number: int) -> Document | None:
        """The stored form of the block that holds a number."""
        with translated():
            document = self._blocks.find_one({"_id": {"$lte": Int64(number)}}, sort=[("_id", -1)])
        return document if document is not None and document["end"] > number else None

    def bounds(self) -> range:
        """From the lowest start to the highest end: a number outside belongs to no block. Two keys of the index."""
        with translated():
            first = self._blocks.find_one({}, {"_id": 1}, sort=[("_id", 1)])
            last = self._blocks.find_one({}, {"end": 1}, sort=[("_id", -1)])
        return range(int(first["_id"]), int(last["end"])) if first and last else range(0)

    def find(self, number: int) -> Block | None:
        document = self.find_document(number)
        return None if document is None else self.from_document(document)

    def starting_at(self, starts: Sequence[int]) -> list[Block]:
        """The blocks with these starts, in one query."""
        with translated():
            found = list(self._blocks.find({"_id": {"$in": [Int64(start) for start in starts]}}))
        return [self.from_document(document) for document in found]

    def older(self, brand_id: str, key_number: int, limit: int) -> list[SealedField]:
        """At most `limit` blocks that an older key of the brand than `key_number` seals."""
        query = {"b": {"$eq": brand_id}, "$or": [{"kn": {"$lt": key_number}}, {"kn": None}]}
        with translated():
            rows = list(self._blocks.find(query, {"b": 1, "links": 1, "kn": 1}).limit(limit))
        return [SealedField(row["_id"], row["b"], bytes(row["links"]), row.get("kn", FIRST_KEY)) for row in rows]

    def renew(self, fields: Sequence[tuple[SealedField, SealedField]]) -> int:
        """Put newly sealed forms in place of (old form, new form); answers how many were still the old form."""
        if not fields:
            return 0
        changes = [
            UpdateOne({"_id": old.id, "links": old.sealed}, {"$set": {"links": new.sealed, "kn": new.key_number}})
            for old, new in fields
        ]
        with translated():
            return self._blocks.bulk_write(changes, ordered=False).modified_count

    def count_under(self, brand_id: str, key_number: int) -> int:
        """How many blocks one of the brand's keys seals."""
        numbers = [key_number, None] if key_number == FIRST_KEY else [key_number]
        with translated():
            return self._blocks.count_documents({"b": {"$eq": brand_id}, "kn": {"$in": numbers}}, hint="by_key")

    def to_document(self, block: Block) -> Document:
        links = orjson.dumps([_stored(link) for link in block.links])
        sealed = self._sealer.seal(block.brand_id, self.purpose, links)
        document: dict[str, Any] = {
            "_id": Int64(block.start),
            "end": Int64(block.end),
            "n": block.count,
            "st": block.stride,
            "b": block.brand_id,
            "ch": block.channel.value,
            "at": block.created_at,
            "links": sealed,
            "kn": self._sealer.number_of(sealed),
        }
        if block.campaign_id is not None:
            document["c"] = block.campaign_id
        if block.list_id is not None:
            document["l"] = block.list_id
        if block.job_source is not None:
            document["j"] = block.job_source
        if not block.track_opens:
            document["to"] = False
        if not block.track_clicks:
            document["tc"] = False
        return document

    def from_document(self, document: Document) -> Block:
        links = orjson.loads(self._sealer.open(document["b"], self.purpose, bytes(document["links"])))
        return Block(
            start=int(document["_id"]),
            count=document["n"],
            stride=document["st"],
            brand_id=document["b"],
            channel=Channel(document["ch"]),
            links=tuple(Link(*link) for link in links),
            created_at=document["at"],
            campaign_id=document.get("c"),
            list_id=document.get("l"),
            job_source=document.get("j"),
            track_opens=document.get("to", True),
            track_clicks=document.get("tc", True),
        )


def _stored(link: Link) -> list[Any]:
    """Without what most links have not."""
    fields = [link.destination, link.label, link.personal, link.fallback, link.trap]
    return fields if link.trap else fields[: 4 if link.personal else 2]
