"""An endpoint (where a brand's events go), a delivery (what one request carries to it) and an attempt (one try)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class PayloadMode(StrEnum):
    """How much a webhook says: `thin` has ids and codes only, `full` also the person's address and client."""

    THIN = "thin"
    FULL = "full"


class Transport(StrEnum):
    """Which way a brand gets its events."""

    HTTP = "http"
    QUEUE = "queue"
    HTTP_THEN_QUEUE = "http_then_queue"
    """Over HTTP, and into the queue what HTTP does not take for a while (`Endpoint.fallback_attempts`)."""


class DeliveryState(StrEnum):
    PENDING = "pending"
    """Waiting for its `next_attempt_at`, or leased by a worker."""
    DELIVERED = "delivered"
    QUEUED = "queued"
    """Handed to the brand's queue because HTTP did not take it."""
    PARKED = "parked"
    """Its endpoint was disabled: kept, and sent again by a replay."""
    DEAD = "dead"
    """Out of attempts, or given up for a reason (`Delivery.closed`)."""


class DisabledReason(StrEnum):
    """Why an endpoint gets nothing."""

    GONE = "gone"
    """It answered 410, or asked to be disabled."""
    UNSAFE_ADDRESS = "unsafe_address"
    """Its name leads where nothing may be sent, three times within an hour."""
    FAILING = "failing"
    """Nothing got through for 120 hours."""
    OWNER = "owner"
    """The brand switched it off."""


class Secret(NamedTuple):
    """A signing key."""

    key: bytes
    """24-64 bytes."""
    id: str = ""
    """`sec_…`; empty for those of brands.yaml."""
    created_at: datetime | None = None
    expires_at: datetime | None = None
    """None: until it is rotated or revoked."""

    def __repr__(self) -> str:
        return f"Secret(id={self.id!r})"


@dataclass(frozen=True, slots=True)
class Batching:
    """How many events an endpoint takes in one request (`events.batch`)."""

    max_events: int = 100
    """1-500."""
    max_bytes: int = 262_144
    max_wait_seconds: float = 5.0
    """1-60: how long the first of them may wait for others. Nothing waits when the limit is reached."""


MAX_QUEUED_BYTES = 250_000
"""Of a batch in a queue: SQS takes 256 KiB, what stands beside the body included."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a brand wants its events. From brands.yaml (id as written there) or from the API (`ep_…`)."""

    id: str
    brand_id: str
    url: str = field(repr=False)
    """Empty for transport `queue`."""
    secrets: tuple[Secret, ...] = field(repr=False)
    """Newest first; every one that has not expired signs."""
    events: frozenset[str] = frozenset()
    """Public event types; empty means all."""
    mode: PayloadMode = PayloadMode.THIN
    deadline_seconds: float = 15.0
    max_in_flight: int = 8
    transport: Transport = Transport.HTTP
    queue: str = field(default="", repr=False)
    """URL of the brand's message queue, with its credentials (`app.lib.queue_url` reads it)."""
    batching: Batching | None = None
    """None: one event per request."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Sent along; they may carry the brand's own credentials."""
    strict: bool = False
    """In order: one request at a time, and nothing passes one that fails. Costs throughput."""
    rate_per_second: float | None = None
    """Requests at most; None: no limit."""
    delays: tuple[float, ...] = ()
    """Seconds between attempts in place of the usual schedule; at most 20, each at most 24 h, 7 d together."""
    fallback_attempts: int = 4
    """`http_then_queue`: after so many failed attempts the queue gets it."""

    @property
    def limits(self) -> Batching | None:
        """`batching`, within what one message of a queue may have."""
        if self.batching is None or not self.queue:
            return self.batching
        return replace(self.batching, max_bytes=min(self.batching.max_bytes, MAX_QUEUED_BYTES))

    def keys_at(self, now: datetime) -> tuple[bytes, ...]:
        """The keys that sign at a moment, newest first."""
        return tuple(one.key for one in self.secrets if one.expires_at is None or one.expires_at > now)


class Item(NamedTuple):
    """One event as it is told."""

    event_id: str
    """`evt_…`."""
    event_type: str
    body: bytes
    """Serialised once; every attempt sends these bytes. Sealed at rest."""
    key_id: bytes = b""
    """Which person's key seals it at rest (`Message.key_id`); empty: the brand's, for what is no person's."""

    def __repr__(self) -> str:
        return f"Item({self.event_id}, {self.event_type})"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one request carries to one endpoint: an event, or a batch of them whose members never change.

    `id` is made of the first event's id and the endpoint's id, so planning it twice makes one row.
    """

    id: str
    endpoint_id: str
    brand_id: str
    items: tuple[Item, ...]
    created_at: datetime
    next_attempt_at: datetime
    batch_id: str = ""
    """`bat_…`: it is sent as a batch, also when it has one event only. Empty: as the event itself."""
    attempts: int = 0
    state: DeliveryState = DeliveryState.PENDING
    closed: str = ""
    """Why it is dead without having used up its attempts: `recipient_erased`, `endpoint_removed`, `unreadable`,
    `too_large`, `aborted`, `expired`."""
    strict: bool = False
    """Its endpoint wants its events in order."""
    replayed_at: datetime | None = None
    """When a replay began it anew."""

    @property
    def begun_at(self) -> datetime:
        """From when on its time runs out."""
        return self.replayed_at or self.created_at

    @property
    def webhook_id(self) -> str:
        """Sent as `webhook-id` on every attempt."""
        return self.batch_id or self.items[0].event_id

    @property
    def body(self) -> bytes:
        """Of a delivery of one event."""
        return self.items[0].body

    @property
    def event_type(self) -> str:
        return BATCH_TYPE if self.batch_id else self.items[0].event_type


BATCH_TYPE = "events.batch"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try, for the delivery log."""

    number: int
    """1-based."""
    started_at: datetime
    seconds: float
    outcome: str
    """`delivered`, `queued`, or the failure's class: `http_500`, `redirect`, `timeout`, `dns`, `connect`, `tls`,
    `reset`, `protocol`, `blocked_address`, `queue_unavailable`."""
    status: int | None = None
    url: str = field(default="", repr=False)
    response: str = field(default="", repr=False)
    """The first 4 KiB of the answer, text only, control characters removed."""


class Result(NamedTuple):
    """What becomes of a claimed delivery."""

    delivery: Delivery
    """As it is now."""
    attempt: Attempt | None
    """None: nothing was sent, it only waits for another time."""
    parts: tuple[Delivery, ...] = ()
    """What else it was divided into; `delivery` keeps the first part."""
