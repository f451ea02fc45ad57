"""The collection `blocks`: one document per request, however many recipients. Never deleted, never changed.

`block_cache` stands in front of it. Destinations are sealed: a link may carry what its author knows of a person.
"""

from __future__ import annotations

from typing import Any, Protocol

import orjson
from bson import Int64
from pymongo import IndexModel
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.errors import PermanentError
from app.models.block import Block, Channel, Link
from app.storage.client import Document, translated


class Sealer(Protocol):
    """What storage needs of `app.privacy.keyring.Keyring`."""

    def seal(self, brand_id: str, purpose: str, plaintext: bytes) -> bytes: ...
    def open(self, brand_id: str, purpose: str, sealed: bytes) -> bytes: ...


class Blocks:
    """Shard key: `_id` (ranged): numbers of different brands interleave, look-ups are by range of `_id`."""

    INDEXES: tuple[IndexModel, ...] = ()

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

    def to_document(self, block: Block) -> Document:
        links = orjson.dumps([[link.destination, link.label] for link in block.links])
        document: dict[str, Any] = {
            "_id": Int64(block.start),
            "end": Int64(block.end),
            "n": block.count,
            "st": block.stride,
            "b": block.brand_id,
            "ch": block.channel.value,
            "at": block.created_at,
            "links": self._sealer.seal(block.brand_id, "block", links),
        }
        if block.campaign_id is not None:
            document["c"] = block.campaign_id
        if block.list_id is not None:
            document["l"] = block.list_id
        if block.job_source is not None:
            document["j"] = block.job_source
        return document

    def from_document(self, document: Document) -> Block:
        links = orjson.loads(self._sealer.open(document["b"], "block", bytes(document["links"])))
        return Block(
            start=int(document["_id"]),
            count=document["n"],
            stride=document["st"],
            brand_id=document["b"],
            channel=Channel(document["ch"]),
            links=tuple(Link(destination, label) for destination, label in links),
            created_at=document["at"],
            campaign_id=document.get("c"),
            list_id=document.get("l"),
            job_source=document.get("j"),
        )
