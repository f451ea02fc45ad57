"""A person unsubscribes: the address is suppressed for the list or for the whole brand, by the brand's policy."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from app.brands import Brand
from app.lib import clock
from app.models.block import Block, Channel
from app.models.suppression import WHOLE_BRAND
from app.tracking.tokens import TokenContent


class MessageSource(Protocol):
    def hash_of(self, number: int) -> str | None: ...


class SuppressionStore(Protocol):
    def add(
        self, brand_id: str, address_hash: str, *, list_id: str, reason: str, at: datetime, message: int | None
    ) -> bool: ...


class AddressHasher(Protocol):
    def address_hash(self, brand_id: str, channel: Channel, address: str) -> str: ...


class Unsubscribes:
    """Called by the front before it answers and by ingest after; the second call changes nothing."""

    def __init__(self, messages: MessageSource, suppressions: SuppressionStore, keyring: AddressHasher) -> None:
        self._messages = messages
        self._suppressions = suppressions
        self._keyring = keyring

    def apply(self, brand: Brand, block: Block, message: int, at_ms: int) -> None:
        """Suppress the recipient of a message, also past its retention. Of one that is gone or erased nobody is left.

        Raises:
            StoreUnavailable: not done; the journal still has the record.
        """
        address_hash = self._messages.hash_of(message)
        if address_hash is not None:
            self._suppress(brand, address_hash, block.list_id, at_ms, message)

    def apply_token(self, brand: Brand, content: TokenContent, at_ms: int) -> None:
        """Suppress the address that a sealed token names, as far as `apply`; without one there is only the event.

        Raises:
            StoreUnavailable: not done; the journal still has the record.
        """
        if content.address is not None:
            address_hash = self._keyring.address_hash(brand.id, content.channel, content.address)
            self._suppress(brand, address_hash, content.list_id, at_ms, None)

    def _suppress(self, brand: Brand, address_hash: str, list_id: str | None, at_ms: int, message: int | None) -> None:
        scope = list_id if brand.unsubscribe.scope == "list" else None
        self._suppressions.add(
            brand.id,
            address_hash,
            list_id=scope or WHOLE_BRAND,
            reason="unsubscribed",
            at=clock.from_ms(at_ms),
            message=message,
        )
