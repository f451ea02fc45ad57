"""An endpoint (a brand's URL), a delivery (one event to it) and an attempt (one try)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class PayloadMode(StrEnum):
    """How much a webhook says: `thin` has ids and codes only, `full` also the person's address and client."""

    THIN = "thin"
    FULL = "full"


class DeliveryState(StrEnum):
    PENDING = "pending"
    """Waiting for its `next_attempt_at`, or leased by a worker while `lease_until` is ahead."""
    DELIVERED = "delivered"
    DEAD = "dead"
    """Out of attempts."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a brand wants its events. From brands.yaml (id as written there) or from the API (`ep_…`)."""

    id: str
    brand_id: str
    url: str
    secrets: tuple[bytes, ...] = field(repr=False)
    """Keys of 24-64 bytes, current first; every one of them signs."""
    events: frozenset[str] = frozenset()
    """Public event types; empty means all."""
    mode: PayloadMode = PayloadMode.THIN
    deadline_seconds: float = 15.0
    max_in_flight: int = 8


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event to one endpoint. `id` is event id + endpoint id, so planning it twice makes one row."""

    id: str
    endpoint_id: str
    brand_id: str
    event_id: str
    """`evt_…`, sent as `webhook-id` on every attempt."""
    event_type: str
    body: bytes = field(repr=False)
    """Serialised once; every attempt sends these bytes. Sealed at rest."""
    created_at: datetime
    next_attempt_at: datetime
    attempts: int = 0
    state: DeliveryState = DeliveryState.PENDING
    key_id: bytes = field(default=b"", repr=False)
    """Which person's key seals body and log at rest (`Message.key_id`); empty: the brand's, for what is no person's."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try, for the delivery log."""

    number: int
    """1-based."""
    started_at: datetime
    seconds: float
    outcome: str
    """`delivered`, or the failure's class: `http_500`, `redirect`, `timeout`, `dns`, `connect`, `tls`, `reset`,
    `protocol`, `blocked_address`."""
    status: int | None = None
    url: str = field(default="", repr=False)
    response: str = field(default="", repr=False)
    """The first 4 KiB of the answer, text only, control characters removed."""
