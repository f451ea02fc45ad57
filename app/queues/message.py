"""What a brand's queue is handed, and what became of it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

CONTENT_TYPE = "application/json"


class QueueMessage(NamedTuple):
    """One message: the bytes an endpoint would get, with the headers it would get beside them."""

    id: str
    """`webhook-id`: what consumers drop duplicates by."""
    timestamp: int
    """Whole seconds since 1970: when it was signed."""
    signature: str
    event_type: str
    brand_id: str
    reason: str
    """Why it comes this way and not over HTTP; empty in a brand's event queue."""
    body: bytes
    group: str
    """The message whose events keep their order in a FIFO queue (`msg_…`)."""

    def __repr__(self) -> str:
        return f"QueueMessage({self.id}, {self.event_type})"


class QueueFailure(StrEnum):
    """Why a queue did not confirm. What is not confirmed may be in the queue all the same."""

    UNAVAILABLE = "queue_unavailable"
    """No address, no connection, no TLS, no answer in time, an answer that makes no sense, or a broker that takes
    nothing for lack of memory or disk."""
    REFUSED = "queue_refused"
    """The queue said no: it is full, or the message is not one it takes (`Published.refused`)."""
    MISSING = "queue_missing"
    """There is no such queue or exchange, or nothing is bound where the message would go."""
    DENIED = "queue_denied"
    """The credentials are wrong, or may not publish there."""
    BLOCKED_ADDRESS = "blocked_address"
    """The broker's name leads only where nothing may be sent. Nothing was dialled."""


class Published(NamedTuple):
    """What became of a call."""

    confirmed: frozenset[str]
    """Ids the queue has taken for good."""
    failure: QueueFailure | None = None
    """Why the others are not confirmed; the first reason met. None: all are."""
    refused: frozenset[str] = frozenset()
    """Ids that this queue will never take, however often it is asked: too large, or bytes it cannot carry."""
    detail: str = ""
    """For a log line: the kind of error met. Never a text that came from outside."""


class QueueError(Exception):
    """A call cannot go on. Its text is a class name of a foreign error at most: those of the libraries quote URLs."""

    def __init__(self, failure: QueueFailure, detail: str = "") -> None:
        super().__init__(detail or failure.value)
        self.failure = failure


def attributes(message: QueueMessage) -> dict[str, str]:
    """What stands beside the body, named as the headers of a webhook; what is empty is left out."""
    found = {
        "webhook-id": message.id,
        "webhook-timestamp": str(message.timestamp),
        "webhook-signature": message.signature,
        "content-type": CONTENT_TYPE,
        "event-type": message.event_type,
        "brand-id": message.brand_id,
        "fallback-reason": message.reason,
    }
    return {name: value for name, value in found.items() if value}
