"""The collection `messages`: one document per recipient; everything personal in one sealed field."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from bson import Int64
from pymongo import IndexModel
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from app.errors import StoreUnavailable
from app.models.block import Channel
from app.models.message import Message, Recipient
from app.storage.blocks import Sealer
from app.storage.client import Document, translated

DUPLICATE_KEY = 11000


class Messages:
    """Shard key: `_id` (the message's number, ranged like `blocks`)."""

    INDEXES = (IndexModel([("b", 1), ("h", 1), ("_id", -1)], name="by_recipient"),)

    def __init__(self, database: Database[Document], sealer: Sealer) -> None:
        self._messages = database["messages"]
        self._sealer = sealer

    def insert_many(self, messages: Sequence[Message]) -> None:
        """Store messages; those already stored are left as they are.

        Raises:
            StoreUnavailable: some may be missing; calling again with the same messages is right.
        """
        with translated():
            try:
                self._messages.insert_many([self._to_document(message) for message in messages], ordered=False)
            except BulkWriteError as error:
                only_duplicates(error)

    def get(self, number: int) -> Message | None:
        return self.get_many([number]).get(number)

    def get_many(self, numbers: Iterable[int]) -> dict[int, Message]:
        """number → message, without those that do not exist."""
        wanted = [Int64(number) for number in numbers]
        with translated():
            found = list(self._messages.find({"_id": {"$in": wanted}}))
        return {int(document["_id"]): self._from_document(document) for document in found}

    def _to_document(self, message: Message) -> Document:
        recipient = message.recipient
        personal = orjson.dumps(
            {"a": recipient.address, "i": recipient.id, "n": recipient.name, "m": dict(message.metadata)}
        )
        document: dict[str, Any] = {
            "_id": Int64(message.number),
            "b": message.brand_id,
            "ch": message.channel.value,
            "h": message.address_hash,
            "at": message.created_at,
            "p": self._sealer.seal(message.brand_id, "message", personal),
        }
        if message.campaign_id is not None:
            document["c"] = message.campaign_id
        if message.list_id is not None:
            document["l"] = message.list_id
        if message.job_source is not None:
            document["j"] = message.job_source
        return document

    def _from_document(self, document: Document) -> Message:
        personal = orjson.loads(self._sealer.open(document["b"], "message", bytes(document["p"])))
        return Message(
            number=int(document["_id"]),
            brand_id=document["b"],
            channel=Channel(document["ch"]),
            recipient=Recipient(address=personal["a"], id=personal["i"], name=personal["n"]),
            address_hash=document["h"],
            created_at=document["at"],
            campaign_id=document.get("c"),
            list_id=document.get("l"),
            job_source=document.get("j"),
            metadata=personal["m"],
        )


def only_duplicates(error: BulkWriteError) -> list[int]:
    """The positions of documents that were already there.

    Raises:
        StoreUnavailable: when anything else went wrong too (its text may quote values, so it stays out).
    """
    details: dict[str, Any] = dict(error.details or {})
    errors = details.get("writeErrors", [])
    if details.get("writeConcernErrors") or any(item["code"] != DUPLICATE_KEY for item in errors):
        raise StoreUnavailable("bulk write") from error
    return [item["index"] for item in errors]
