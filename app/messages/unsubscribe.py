"""A person unsubscribes: the address is suppressed for the list or for the whole brand, by the brand's policy."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from app.brands import Brand
from app.lib import clock
from app.models.block import Block
from app.models.message import Message

WHOLE_BRAND = "*"


class MessageSource(Protocol):
    def get(self, number: int) -> Message | None: ...


class SuppressionStore(Protocol):
    def add(
        self, brand_id: str, address_hash: str, *, list_id: str, reason: str, at: datetime, message: int
    ) -> bool: ...


class Unsubscribes:
    """Called by the front before it answers and by ingest after; the second call changes nothing."""

    def __init__(self, messages: MessageSource, suppressions: SuppressionStore) -> None:
        self._messages = messages
        self._suppressions = suppressions

    def apply(self, brand: Brand, block: Block, message: int, at_ms: int) -> None:
        """Suppress the recipient of a message. A message that is gone has no address left to suppress.

        Raises:
            StoreUnavailable: not done; the journal still has the record.
        """
        found = self._messages.get(message)
        if found is None:
            return
        scope = block.list_id if brand.unsubscribe.scope == "list" else None
        self._suppressions.add(
            brand.id,
            found.address_hash,
            list_id=scope or WHOLE_BRAND,
            reason="unsubscribed",
            at=clock.from_ms(at_ms),
            message=message,
        )
