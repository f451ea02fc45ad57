"""An event: what happened to a message, with the evidence for it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class EventKind(StrEnum):
    """What happened. `message.` + past tense is the public type (docs/glossary.md)."""

    SENT = "sent"
    OPENED = "opened"
    CLICKED = "clicked"
    UNSUBSCRIBED = "unsubscribed"

    @property
    def public_type(self) -> str:
        return f"message.{self.value}"


ONCE_PER_MESSAGE = frozenset({EventKind.SENT, EventKind.UNSUBSCRIBED})
"""A second event of these kinds for a message says nothing new and is not stored."""


class Verdict(StrEnum):
    HUMAN = "human"
    PROXY = "proxy"
    MACHINE = "machine"


class Judgement(NamedTuple):
    """What classification says about one hit."""

    verdict: Verdict
    counted: bool
    reasons: tuple[str, ...]
    """Codes from the closed set in `app.ingest.classify`."""


class Event(NamedTuple):
    """Stored exactly once, by `id`. A NamedTuple because ingest makes thousands a second."""

    id: bytes
    kind: EventKind
    brand_id: str
    message: int
    """The message's number (slot 0)."""
    block: int
    """The block's start."""
    slot: int
    """Which pixel or link was hit; for `sent` and `unsubscribed` 0 and 2."""
    at_ms: int
    recorded_ms: int
    judgement: Judgement
    first: bool
    """The first counted event of its kind for its message. Exact: arbitrated by a unique index."""
    rules_version: str
    campaign_id: str | None = None
    user_agent: str = ""
    client: str = ""
    """The client's address, cut to the brand's policy; often empty."""
    method: str | None = None
    """Unsubscribed only: `one_click`, `link`, `api`, …"""
    query: str = ""
    """The fields that the brand lets its URLs carry in the clear (`metadata_keys`), as `key=value&…`."""
    url: str = ""
    """Where a clicked sealed token leads. At rest it is only inside `personal`."""
    personal: bytes = b""
    """Sealed under the recipient's key: JSON with `client` (full address, policy `full`), `url` (of a sealed token) and
    `fields` (of a pixel's `p=` token), each only when there is one."""
