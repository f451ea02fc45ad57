"""Hits on sealed tokens: opened again, given a number, and registered as messages the first time they are seen.

A token has no row in any store until it is hit. Its message's number follows from what identifies the message
(`app.tracking.tokens.message_identity`) under the brand's index key, so that the open, the clicks and the unsubscribe
of one message meet, whatever key sealed them. These numbers lie above every number that is ever given out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from app.brands import Brand
from app.lib import clock
from app.models.block import FIRST_LINK_SLOT, SEALED_LINK_SLOTS, Block, Slot
from app.models.message import Message, Recipient
from app.models.record import HitKind, Record
from app.tracking.codes import TOKEN_NUMBERS
from app.tracking.tokens import TokenContent, TokenPurpose

_PURPOSES = {
    HitKind.OPEN: TokenPurpose.OPEN,
    HitKind.CLICK: TokenPurpose.CLICK,
    HitKind.UNSUBSCRIBE: TokenPurpose.UNSUBSCRIBE,
}


class Tokens(Protocol):
    def open_recorded(self, hits: Sequence[tuple[str, TokenPurpose, str]]) -> list[TokenContent | None]: ...


class Hashes(Protocol):
    def message_hash(self, brand_id: str, content: TokenContent) -> bytes: ...
    def person_hash(self, brand_id: str, content: TokenContent) -> str: ...


class MessageStore(Protocol):
    def missing(self, numbers: Collection[int]) -> set[int]: ...
    def insert_many(self, messages: Sequence[Message]) -> None: ...


class SealedHit(NamedTuple):
    block: Block
    """Of this one message; it is never stored."""
    slot: int
    content: TokenContent


class SealedHits:
    """Opens tokens of journal records and registers their messages."""

    def __init__(self, tokens: Tokens, hashes: Hashes, messages: MessageStore) -> None:
        self._tokens = tokens
        self._hashes = hashes
        self._messages = messages

    def open_many(self, found: Sequence[tuple[Record, Brand]]) -> list[SealedHit | None]:
        """What the tokens of records say; None for each that does not open.

        Raises:
            StoreUnavailable: a token's key is not known here yet; run the batch again.
        """
        if not found:
            return []
        contents = self._tokens.open_recorded(
            [(brand.id, _PURPOSES[record.kind], record.token) for record, brand in found]
        )
        return [
            None if content is None else self._hit(record, brand, content)
            for (record, brand), content in zip(found, contents, strict=True)
        ]

    def _hit(self, record: Record, brand: Brand, content: TokenContent) -> SealedHit:
        digest = self._hashes.message_hash(brand.id, content)
        number = TOKEN_NUMBERS | int.from_bytes(digest[:8], "big") % TOKEN_NUMBERS
        block = Block(
            start=number,
            count=1,
            stride=FIRST_LINK_SLOT,
            brand_id=brand.id,
            channel=content.channel,
            links=(),
            created_at=clock.from_ms(record.at_ms),
            campaign_id=content.campaign_id,
            list_id=content.list_id,
            job_source=content.job_source,
        )
        return SealedHit(block, _slot(record.kind, content), content)

    def register(self, found: Sequence[tuple[Block, TokenContent]]) -> None:
        """Store the messages of blocks that `open` made, those that are not there yet.

        Raises:
            StoreUnavailable: some may be missing; again is right.
        """
        by_number = {block.start: (block, content) for block, content in found}
        missing = self._messages.missing(by_number) if by_number else set()
        self._messages.insert_many([self._message(*by_number[number]) for number in sorted(missing)])

    def _message(self, block: Block, content: TokenContent) -> Message:
        return Message(
            number=block.start,
            brand_id=block.brand_id,
            channel=block.channel,
            recipient=Recipient(content.address or "", id=content.contact_id),
            address_hash=self._hashes.person_hash(block.brand_id, content),
            created_at=block.created_at,
            campaign_id=content.campaign_id,
            list_id=content.list_id,
            job_source=content.job_source,
            metadata={**({"reference": content.reference} if content.reference else {}), **content.metadata},
        )


def _slot(kind: HitKind, content: TokenContent) -> int:
    """A token's link has no place in a table: its slot is made of its destination, so that figures tell links apart."""
    if kind is HitKind.OPEN:
        return int(Slot.PIXEL_FOOTER)
    if kind is HitKind.UNSUBSCRIBE:
        return int(Slot.UNSUBSCRIBE)
    digest = hashlib.blake2b((content.destination or "").encode(), digest_size=4).digest()
    return SEALED_LINK_SLOTS | int.from_bytes(digest, "big") % SEALED_LINK_SLOTS
