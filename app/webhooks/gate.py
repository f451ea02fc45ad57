"""What a run asks before it sends and tells afterwards: the endpoint's breaker, rate and health behind one port."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from app.models.delivery import DisabledReason


class Leave(NamedTuple):
    """Whether and how much may be sent now."""

    requests: int | None = None
    """At most; None: no limit."""
    wait_seconds: float = 0.0
    """How long the endpoint rests when `requests` is 0."""
    slow: bool = False
    """Half as many at once as usual: it said a short while ago that it is overloaded."""
    open_since: datetime | None = None
    """When its breaker opened, if it has not closed since."""


@dataclass(slots=True)
class Tally:
    """What a run saw, for the endpoint's breaker and health."""

    succeeded: int = 0
    failed: int = 0
    slowed: int = 0
    """Answers that asked for a pause: the endpoint is there, and takes nothing."""
    hung: int = 0
    """In a row at the end: requests that used up their deadline."""
    blocked: int = 0
    """Attempts that the address guard stopped."""
    mark: str = ""
    alert: bool = False
    throttle: bool = False
    disabled: DisabledReason | None = None
    location_host: str = ""
    dead: int = 0
    """Deliveries that were given up."""
    lost: int = 0
    """Of them, those the brand is told of: not what itself tells of an endpoint, or two dead ones would keep each other
    supplied."""
    outcomes: Counter[str] = field(default_factory=Counter)


class Gate(Protocol):
    """One endpoint's. Called from threads."""

    def leave(self, wanted: int, now: datetime) -> Leave:
        """Ask for leave to make so many requests."""

    def note(self, tally: Tally, now: datetime) -> None:
        """Say how a run went. Raises `StoreUnavailable`: what it says is lost, and the next run says it again."""


class OpenGate:
    """For endpoints without limits, and tests of other things."""

    def leave(self, wanted: int, now: datetime) -> Leave:
        return Leave()

    def note(self, tally: Tally, now: datetime) -> None:
        """Nobody keeps it."""
