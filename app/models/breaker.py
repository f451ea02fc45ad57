"""An endpoint's breaker: what is remembered of it (`Circuit`), and what it allows (`Permit`)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class CircuitState(StrEnum):
    CLOSED = "closed"
    """Requests go through."""
    OPEN = "open"
    """None do."""
    HALF_OPEN = "half_open"
    """One at a time does, to see how the endpoint is."""


class Circuit(NamedTuple):
    """Moments are seconds since 1970. Small, and of bounded size."""

    state: CircuitState = CircuitState.CLOSED
    until: float = 0.0
    """Open: so long. Half open: so long somebody has the probe; 0: nobody."""
    since: float = 0.0
    """When it opened, without having closed since; 0: it is closed."""
    openings: int = 0
    """How often in that time."""
    successes: int = 0
    """Of probes, in a row."""
    hung: int = 0
    """Requests in a row that used up their time."""
    slots: tuple[tuple[int, int, int], ...] = ()
    """The last minute in pieces, oldest first: number of the piece, successes, failures."""


class Permit(NamedTuple):
    """What an endpoint's breaker allows."""

    allowed: bool = True
    probe: bool = False
    """One request only: the breaker is half open."""
    open_until: datetime | None = None
    """Not allowed: until then."""
    open_since: datetime | None = None
    """When the breaker opened, if it has not closed since."""
    throttled: bool = False
    """The endpoint said less than five minutes ago that it is overloaded (`app.storage.rates`)."""
