"""What a mutating call decided, so that the same call made again comes to the same end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """The choices of a call that would come out differently a second time."""

    start: int | None = None
    """The first number of the block it reserved."""
    resource: str | None = None
    """The id of what it created or removed."""
    plan: bytes = b""
    """A digest of everything else the answer follows from (the brand's settings); a repeat must find the same."""


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    fingerprint: bytes
    decision: Decision
    created_at: datetime
