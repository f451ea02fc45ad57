"""A message to one recipient. Its number is slot 0 of its place in the block; its public id comes from that number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.models.block import Channel


@dataclass(frozen=True, slots=True)
class Recipient:
    """The person, as the brand named them. At rest only inside a sealed field."""

    address: str = field(repr=False)
    """An email address or an E.164 phone number."""
    id: str | None = field(default=None, repr=False)
    """The brand's own contact id."""
    name: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    number: int
    brand_id: str
    channel: Channel
    recipient: Recipient
    address_hash: str
    """Hex of HMAC-SHA256(brand's index key, normalised address)."""
    created_at: datetime
    campaign_id: str | None = None
    list_id: str | None = None
    job_source: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What fills this recipient's personalised links. Sealed with the rest."""
    key_id: bytes = field(default=b"", repr=False)
    """Which person's key sealed it at rest; what is derived from it is sealed under the same key (`app.privacy`).
    Empty before it is stored, and of messages from before persons had keys."""
    erased: bool = False
    """The person was erased or the message is past its retention: recipient, hash, metadata and values are empty."""
