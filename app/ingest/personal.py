"""What an event keeps of a hit that is personal: sealed under the recipient's own key, so that it goes with the person.

The full client address where a brand keeps it, a sealed token's destination, and the fields of a pixel's `p=` token.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode

import orjson

from app.ingest.attribute import Hit
from app.ingest.sealed import SealedHits, Tokens
from app.models.event import Event
from app.tracking.tokens import TokenContent, TokenPurpose

PURPOSE = "event"
FIELDS_KEY = "p"


class Messages(Protocol):
    def key_ids_of(self, numbers: Collection[int]) -> dict[int, bytes]:
        """Message number → id of its recipient's key, without messages that are erased or gone."""


class Vault(Protocol):
    def seal_under(self, purpose: str, items: Sequence[tuple[str, bytes, bytes]]) -> list[bytes | None]: ...


class PersonalData:
    """Keeps the personal part of hits. Stateless."""

    def __init__(self, *, tokens: Tokens, sealed: SealedHits, messages: Messages, vault: Vault) -> None:
        self._tokens = tokens
        self._sealed = sealed
        self._messages = messages
        self._vault = vault

    def keep(self, hits: Sequence[Hit], events: Sequence[Event]) -> list[Event]:
        """The events with their personal part; events and hits correspond.

        Raises:
            StoreUnavailable: run the batch again.
        """
        self._sealed.register([(hit.block, hit.content) for hit in hits if hit.content is not None])
        kept = list(events)
        fields = self._fields(hits)
        personal: dict[int, bytes] = {}
        for index, hit in enumerate(hits):
            if index in fields:
                kept[index] = events[index]._replace(query=_without_fields(hit.record.query))
            if found := _personal(hit, fields.get(index)):
                personal[index] = orjson.dumps(found)
        if personal:
            self._seal(hits, kept, personal)
        return kept

    def _fields(self, hits: Sequence[Hit]) -> dict[int, TokenContent | None]:
        """Index of each hit whose query has a `p=` token → what that holds; None when it is not one of the brand's."""
        found = {
            index: token
            for index, hit in enumerate(hits)
            if f"{FIELDS_KEY}=" in hit.record.query and (token := dict(parse_qsl(hit.record.query)).get(FIELDS_KEY))
        }
        if not found:
            return {}
        opened = self._tokens.open_recorded(
            [(hits[index].brand.id, TokenPurpose.FIELDS, token) for index, token in found.items()]
        )
        return dict(zip(found, opened, strict=True))

    def _seal(self, hits: Sequence[Hit], events: list[Event], personal: Mapping[int, bytes]) -> None:
        """Under the key that the message has; a person who is erased at this moment must not get a new one."""
        key_ids = self._messages.key_ids_of({hits[index].message for index in personal})
        # Without a recipient (erased, or past its time) there is nobody whom this could be sealed for.
        indexes = [index for index in personal if hits[index].message in key_ids]
        items = [(hits[index].brand.id, key_ids[hits[index].message], personal[index]) for index in indexes]
        for index, sealed in zip(indexes, self._vault.seal_under(PURPOSE, items), strict=True):
            events[index] = events[index]._replace(personal=sealed or b"")


def _without_fields(query: str) -> str:
    return urlencode([(key, value) for key, value in parse_qsl(query, keep_blank_values=True) if key != FIELDS_KEY])


def _personal(hit: Hit, fields: TokenContent | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if hit.brand.client_address_policy == "full" and hit.record.client:
        found["client"] = hit.record.client
    if hit.content is not None and hit.content.destination:
        found["url"] = hit.content.destination
    if fields is not None:
        found["fields"] = {name: value for name, value in asdict(fields).items() if value}
    return found
