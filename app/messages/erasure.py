"""Erase a person, and tell what is held about one. A person is an address of a brand, found by its keyed hash.

Erasing destroys the person's key first: from then on nothing that was sealed for them opens, in this database or in any
copy of it. The rest takes away what points at them: hashes, networks, query fields. What stays is counted and nameless.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.lib.ids import event_id_text
from app.models.message import Message
from app.models.suppression import WHOLE_BRAND

PAGE = 1000
_EVENTS_AT_ONCE = 500
MAX_PAGES = 50
"""In one call; a person with more messages is erased by calling again."""
MAX_SECONDS = 10.0
"""After that a call ends where it is: the web's hang-up comes at 30. The key is gone by then in any case."""


class RecipientKeys(Protocol):
    def delete(self, brand_id: str, address_hash: str) -> bool: ...


class MessageStore(Protocol):
    def numbers_of(self, brand_id: str, address_hash: str, limit: int) -> list[int]:
        """Numbers of the recipient's messages that still carry the hash, at most `limit`."""

    def forget(self, numbers: Collection[int]) -> int:
        """Take everything personal out of messages, the hash too."""

    def of_recipient(self, brand_id: str, address_hash: str, *, after: int | None, limit: int) -> list[Message]: ...


class EventStore(Protocol):
    def unstripped(self, messages: Sequence[int], size: int) -> Iterator[list[bytes]]:
        """Ids of the messages' events that still hold something, by `size`."""

    def strip(self, messages: Sequence[int], event_ids: Sequence[bytes]) -> None: ...


class DeliveryStore(Protocol):
    def forget(self, brand_id: str, event_ids: Collection[str]) -> int:
        """Remove what webhooks about these events hold, and give up those that wait."""


class ErasureStore(Protocol):
    def add(self, messages: Collection[int], at: datetime) -> None: ...
    def add_person(self, brand_id: str, address_hash: str, at: datetime) -> None: ...


class SuppressionStore(Protocol):
    def forget_message(self, brand_id: str, address_hash: str) -> None:
        """Keep that the address is suppressed, and no longer because of which message."""

    def add(
        self, brand_id: str, address_hash: str, *, list_id: str, reason: str, at: datetime, message: int | None
    ) -> bool: ...


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did."""

    messages: int
    """Messages that were made nameless by this call."""
    complete: bool
    """False when there are more: call again."""


class Erasure:
    """The use case behind `POST /v1/recipients/erase`. Any number of calls come to the same end."""

    def __init__(
        self,
        *,
        keys: RecipientKeys,
        messages: MessageStore,
        events: EventStore,
        deliveries: DeliveryStore,
        erasures: ErasureStore,
        suppressions: SuppressionStore,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._messages = messages
        self._events = events
        self._deliveries = deliveries
        self._erasures = erasures
        self._suppressions = suppressions
        self._monotonic = monotonic

    def erase(self, brand_id: str, address_hash: str, *, suppress: bool, at: datetime) -> Erased:
        """Erase the person behind an address.

        Args:
            suppress: keep them from being written to again. Suppressions that are there stay in any case.

        Raises:
            StoreUnavailable: perhaps done in part; calling again completes it.
        """
        if suppress:
            self._suppressions.add(brand_id, address_hash, list_id=WHOLE_BRAND, reason="erased", at=at, message=None)
        # Before the key goes: whoever registers them at this moment looks here afterwards.
        self._erasures.add_person(brand_id, address_hash, at)
        self._keys.delete(brand_id, address_hash)
        self._suppressions.forget_message(brand_id, address_hash)
        done, until = 0, self._monotonic() + MAX_SECONDS
        for _ in range(MAX_PAGES):
            numbers = self._messages.numbers_of(brand_id, address_hash, PAGE)
            if not numbers:
                return Erased(done, complete=True)
            # In this order: once a message has lost its hash, nobody finds the rest of it again.
            self._erasures.add(numbers, at)
            if not self._strip(brand_id, numbers, until):
                break
            self._messages.forget(numbers)
            done += len(numbers)
            if self._monotonic() > until:
                break
        return Erased(done, complete=False)

    def _strip(self, brand_id: str, numbers: Sequence[int], until: float) -> bool:
        """Events and what webhooks hold of them; False when the time is up before all is done.

        The person's key closes nearly all deliveries; this is for what the brand's key sealed, and for what waits.
        """
        for ids in self._events.unstripped(numbers, _EVENTS_AT_ONCE):
            self._deliveries.forget(brand_id, [event_id_text(event_id) for event_id in ids])
            self._events.strip(numbers, ids)
            if self._monotonic() > until:
                return False
        return True
