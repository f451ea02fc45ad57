"""Hits on sealed tokens: opened again, given a number, and registered as messages the first time they are seen.

A token has no row in any store until it is hit. Its message's number follows from what identifies the message
(`app.tracking.tokens.message_identity`) under the brand's index key, so that the open, the clicks and the unsubscribe
of one message meet, whatever key sealed them. These numbers lie above every number that is ever given out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from app.brands import Brand
from app.errors import StoreUnavailable
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
    def forget(self, numbers: Collection[int]) -> int: ...


class Erasures(Protocol):
    def add(self, messages: Collection[int], at: datetime) -> None: ...
    def people_among(self, people: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Which of these (brand id, address hash) are erased."""


class SealedHit(NamedTuple):
    block: Block
    """Of this one message; it is never stored."""
    slot: int
    content: TokenContent
    erased: bool = False
    """Its person was erased, and must not come back with a token that is still in a mail."""


class SealedHits:
    """Opens tokens of journal records and registers their messages."""

    def __init__(self, tokens: Tokens, hashes: Hashes, messages: MessageStore, erasures: Erasures) -> None:
        self._tokens = tokens
        self._hashes = hashes
        self._messages = messages
        self._erasures = erasures

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
        people = [
            None if content is None else (brand.id, self._hashes.person_hash(brand.id, content))
            for (_, brand), content in zip(found, contents, strict=True)
        ]
        erased = self._erasures.people_among(person for person in people if person is not None)
        return [
            None if content is None else self._hit(record, brand, content, erased=person in erased)
            for (record, brand), content, person in zip(found, contents, people, strict=True)
        ]

    def _hit(self, record: Record, brand: Brand, content: TokenContent, *, erased: bool) -> SealedHit:
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
            # What a token asks to be tracked nobody can say; the brand's ceiling holds.
            track_opens=brand.track_opens,
            track_clicks=brand.track_clicks,
        )
        return SealedHit(block, _slot(record.kind, content), content, erased)

    def register(self, found: Sequence[tuple[Block, TokenContent]]) -> None:
        """Store the messages of blocks that `open` made, those that are not there yet.

        Raises:
            StoreUnavailable: some may be missing, or one of the people is erased at this moment; again is right.
        """
        by_number = {block.start: (block, content) for block, content in found}
        missing = self._messages.missing(by_number) if by_number else set()
        registered = [self._message(*by_number[number]) for number in sorted(missing)]
        self._messages.insert_many(registered)
        self._take_back_erased(registered)

    def _take_back_erased(self, messages: Sequence[Message]) -> None:
        """After the write, because an erasure may have come since the tokens were opened; it notes whom it erases
        before it looks for their messages, so one of the two finds these."""
        people = {(message.brand_id, message.address_hash) for message in messages}
        erased = self._erasures.people_among(people)
        numbers = [one.number for one in messages if (one.brand_id, one.address_hash) in erased]
        if numbers:
            self._erasures.add(numbers, clock.now())
            self._messages.forget(numbers)
            raise StoreUnavailable("a person was erased while their message was registered")

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
