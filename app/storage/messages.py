"""The collection `messages`: one document per recipient; what is personal in one field, sealed with the person's key.

    _id  number   b  brand   ch  channel   h  address hash   at  created   c  campaign   l  list   j  job source
    s  sealed (`app.privacy.recipients`)   p  sealed the old way, under the brand's key   x  erased

Past its retention a message keeps `_id b ch at h l`, so that an unsubscribe still finds whom; of an erased person's
message `_id b ch at x` are left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import orjson
from bson import Int64
from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from app.errors import StoreUnavailable
from app.lib import clock
from app.models.block import Channel
from app.models.message import Message, Recipient
from app.models.recipient_key import HeldKeys
from app.models.sealed import SealedField
from app.storage.blocks import FIRST_KEY
from app.storage.client import DUPLICATE_KEY, Document, translated

_OLD_STYLE = {"p": {"$exists": True}}


class Vault(Protocol):
    """What messages need of `app.privacy.recipients.Vault`."""

    def seal_many(self, brand_id: str, purpose: str, items: Sequence[tuple[str, bytes]]) -> list[bytes]: ...
    def open_many(
        self, purpose: str, items: Sequence[tuple[str, bytes]], held: HeldKeys | None = None
    ) -> list[bytes | None]: ...
    def key_id_of(self, sealed: bytes) -> bytes: ...
    def gone(self, sealed: Sequence[bytes]) -> list[bool]: ...


class Erasures(Protocol):
    """Keeps the numbers of erased messages."""

    def add(self, messages: Collection[int], at: datetime) -> None: ...


class Messages:
    """Shard key: `_id` (the message's number, ranged like `blocks`). Every method raises `StoreUnavailable`."""

    purpose = "message"
    INDEXES = (
        IndexModel([("b", ASCENDING), ("h", ASCENDING), ("_id", DESCENDING)], name="by_recipient"),
        # What retention has still to strip; stripped and erased messages leave it.
        IndexModel(
            [("b", ASCENDING), ("at", ASCENDING)], name="kept", partialFilterExpression={"s": {"$exists": True}}
        ),
        IndexModel([("b", ASCENDING), ("at", ASCENDING)], name="old_style", partialFilterExpression=_OLD_STYLE),
    )

    def __init__(self, database: Database[Document], vault: Vault, erasures: Erasures | None = None) -> None:
        self._messages = database["messages"]
        self._vault = vault
        self._erasures = erasures

    def insert_many(self, messages: Sequence[Message]) -> None:
        """Store messages; those already stored are left as they are.

        Whoever is erased meanwhile is erased: of their message is left what an erasure leaves.

        Raises:
            StoreUnavailable: some may be missing; calling again with the same messages is right.
        """
        documents = self._to_documents(messages)
        if not documents:
            return
        with translated():
            try:
                self._messages.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                only_duplicates(error)
        # After the write: an erasure deletes the key before it looks for messages, so one of the two finds this one.
        lost = self._vault.gone([document["s"] for document in documents])
        if orphans := [int(document["_id"]) for document, gone in zip(documents, lost, strict=True) if gone]:
            if self._erasures is not None:
                self._erasures.add(orphans, clock.now())
            self.forget(orphans)

    def get(self, number: int) -> Message | None:
        return self.get_many([number]).get(number)

    def get_many(self, numbers: Iterable[int], held: HeldKeys | None = None) -> dict[int, Message]:
        """number → message, without those that do not exist. Those of erased persons say so (`Message.erased`).

        Args:
            held: keeps their keys for what the same call seals next.
        """
        wanted = [Int64(number) for number in numbers]
        with translated():
            # All in one answer: by itself MongoDB begins with a hundred and is asked again.
            found = list(self._messages.find({"_id": {"$in": wanted}}).batch_size(len(wanted) + 1))
        return {message.number: message for message in self._from_documents(found, held)}

    def values_of(self, number: int) -> Mapping[str, str] | None:
        """What fills the message's personalised links; None when it is erased, past its retention or not there."""
        message = self.get(number)
        return None if message is None or message.erased else message.values

    def hash_of(self, number: int) -> str | None:
        """The address hash of a message, also past its retention; opens nothing. None when erased or not there."""
        with translated():
            found = self._messages.find_one({"_id": {"$eq": Int64(number)}}, {"h": 1})
        return None if found is None else found.get("h")

    def key_ids_of(self, numbers: Collection[int]) -> dict[int, bytes]:
        """Number → id of the person's key, without those that are erased, past their retention or not there."""
        wanted = [Int64(number) for number in numbers]
        with translated():
            found = list(self._messages.find({"_id": {"$in": wanted}, "s": {"$exists": True}}, {"s": 1}))
        return {int(row["_id"]): self._vault.key_id_of(bytes(row["s"])) for row in found}

    def owner_of(self, number: int) -> tuple[str, str] | None:
        """(brand id, address hash) of a message; None when it is erased or not there."""
        with translated():
            found = self._messages.find_one({"_id": {"$eq": Int64(number)}}, {"b": 1, "h": 1})
        return (found["b"], found["h"]) if found is not None and "h" in found else None

    def missing(self, numbers: Collection[int]) -> set[int]:
        """Which of these there is no message for."""
        with translated():
            found = self._messages.find({"_id": {"$in": [Int64(number) for number in numbers]}}, {"_id": 1})
            return set(numbers) - {int(row["_id"]) for row in found}

    def numbers_of(self, brand_id: str, address_hash: str, limit: int) -> list[int]:
        """Numbers of a person's messages, at most `limit`."""
        query = {"b": {"$eq": brand_id}, "h": {"$eq": address_hash}}
        with translated():
            return [int(row["_id"]) for row in self._messages.find(query, {"_id": 1}).limit(limit).hint("by_recipient")]

    def of_recipient(
        self, brand_id: str, address_hash: str, *, after: int | None = None, limit: int = 500
    ) -> list[Message]:
        """A page of a person's messages, newest number first.

        Args:
            after: the number of the last message of the page before.
        """
        query: Document = {"b": {"$eq": brand_id}, "h": {"$eq": address_hash}}
        if after is not None:
            query["_id"] = {"$lt": Int64(after)}
        with translated():
            found = list(self._messages.find(query).sort("_id", DESCENDING).limit(limit).hint("by_recipient"))
        return self._from_documents(found)

    def forget(self, numbers: Collection[int]) -> int:
        """Make messages an erased person's: nothing is left that leads to the person. Answers how many were there."""
        with translated():
            return self._messages.update_many(
                {"_id": {"$in": [Int64(number) for number in numbers]}},
                {"$set": {"x": True}, "$unset": dict.fromkeys(("s", "p", "h", "c", "l", "j"), "")},
            ).matched_count

    def strip_older_than(self, brand_id: str, before: datetime, limit: int) -> int:
        """Remove what is personal from at most `limit` messages made before a moment; fewer: nothing is left to do."""
        stripped = 0
        for field in ("s", "p"):
            old: Document = {"b": {"$eq": brand_id}, "at": {"$lt": before}, field: {"$exists": True}}
            with translated():
                found = [row["_id"] for row in self._messages.find(old, {"_id": 1}).limit(limit - stripped)]
                if found:
                    self._messages.update_many(
                        {"_id": {"$in": found}}, {"$unset": dict.fromkeys(("s", "p", "c", "j"), "")}
                    )
            stripped += len(found)
            if stripped >= limit:
                break
        return stripped

    def older(self, brand_id: str, key_number: int, limit: int) -> list[SealedField]:
        """At most `limit` messages that a key of the brand seals and not yet the person's; whichever key it is."""
        query = {"b": {"$eq": brand_id}, **_OLD_STYLE}
        with translated():
            rows = list(self._messages.find(query, {"b": 1, "h": 1, "p": 1}).limit(limit).hint("old_style"))
        return [SealedField(row["_id"], row["b"], bytes(row["p"]), FIRST_KEY, row["h"]) for row in rows]

    def renew(self, fields: Sequence[tuple[SealedField, SealedField]]) -> int:
        """Put forms sealed with the person's key in place of old ones; answers how many were still the old form.

        An erase that comes between reading and writing wins: it has removed the old form, so nothing matches.
        """
        if not fields:
            return 0
        changes = [
            UpdateOne({"_id": old.id, "p": old.sealed}, {"$set": {"s": new.sealed}, "$unset": {"p": ""}})
            for old, new in fields
        ]
        with translated():
            return self._messages.bulk_write(changes, ordered=False).modified_count

    def count_under(self, brand_id: str, key_number: int) -> int:
        """How many messages a key of the brand seals: all of them with its first, before persons had keys."""
        if key_number != FIRST_KEY:
            return 0
        with translated():
            return self._messages.count_documents({"b": {"$eq": brand_id}, **_OLD_STYLE}, hint="old_style")

    def _to_documents(self, messages: Sequence[Message]) -> list[Document]:
        by_brand: dict[str, list[Message]] = defaultdict(list)
        for message in messages:
            by_brand[message.brand_id].append(message)
        documents: list[Document] = []
        for brand_id, of_brand in by_brand.items():
            items = [(message.address_hash, _personal(message)) for message in of_brand]
            sealed = self._vault.seal_many(brand_id, self.purpose, items)
            documents += map(_document, of_brand, sealed)
        return documents

    def _from_documents(self, documents: Sequence[Document], held: HeldKeys | None = None) -> list[Message]:
        sealed = {
            document["_id"]: bytes(raw) for document in documents if (raw := document.get("s") or document.get("p"))
        }
        opened = self._vault.open_many(
            self.purpose,
            [(document["b"], sealed[document["_id"]]) for document in documents if document["_id"] in sealed],
            held,
        )
        plain = dict(zip(sealed, opened, strict=True))
        found: list[Message] = []
        for document in documents:
            personal = plain.get(document["_id"])
            if personal is None:
                found.append(_erased(document))
            else:
                found.append(_message(document, orjson.loads(personal), self._vault.key_id_of(sealed[document["_id"]])))
        return found


def _personal(message: Message) -> bytes:
    recipient = message.recipient
    personal = {"a": recipient.address, "i": recipient.id, "n": recipient.name, "m": dict(message.metadata)}
    if message.values:
        personal["v"] = dict(message.values)
    return orjson.dumps(personal)


def _document(message: Message, sealed: bytes) -> Document:
    document: Document = {
        "_id": Int64(message.number),
        "b": message.brand_id,
        "ch": message.channel.value,
        "h": message.address_hash,
        "at": message.created_at,
        "s": sealed,
    }
    if message.campaign_id is not None:
        document["c"] = message.campaign_id
    if message.list_id is not None:
        document["l"] = message.list_id
    if message.job_source is not None:
        document["j"] = message.job_source
    return document


def _message(document: Document, personal: Mapping[str, Any], key_id: bytes) -> Message:
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
        values=personal.get("v", {}),
        key_id=key_id,
    )


def _erased(document: Document) -> Message:
    return Message(
        number=int(document["_id"]),
        brand_id=document["b"],
        channel=Channel(document["ch"]),
        recipient=Recipient(""),
        address_hash="",
        created_at=document["at"],
        list_id=document.get("l"),
        erased=True,
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
