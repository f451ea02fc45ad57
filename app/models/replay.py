"""A replay: deliveries that are sent once more, chosen by event or by endpoint, time and state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.models.delivery import DeliveryState

RECOVERED_STATES = frozenset({DeliveryState.DEAD, DeliveryState.PARKED})
"""What `recover` sends again: everything that did not arrive."""
REPLAYED_STATES = frozenset(DeliveryState) - {DeliveryState.PENDING}
"""What can be sent again: everything that does not wait anyway."""


class ReplayState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    """Every delivery is due again; how each went is in the delivery log."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which deliveries of a brand are sent again."""

    since: datetime
    until: datetime
    """Those made from `since` and before `until`. Never later than the replay itself: it would follow its own failures
    for ever."""
    endpoint_id: str | None = None
    """None: those of every endpoint."""
    states: frozenset[DeliveryState] = RECOVERED_STATES
    event_ids: tuple[str, ...] = ()
    """If there are any, the deliveries that carry these events and are in `states`; times are not looked at."""


@dataclass(frozen=True, slots=True)
class Replay:
    id: str
    """`rpl_…`. Also the nonce that tells its second request from another replay's."""
    brand_id: str
    selection: Selection
    created_at: datetime
    total: int
    """How many deliveries there were when it began; of more than 100,000, so many."""
    done: int = 0
    """How many of them have been made due."""
    state: ReplayState = ReplayState.RUNNING
    finished_at: datetime | None = None
    after: str = ""
    """How far the look through the deliveries came."""
    page: tuple[str, ...] = ()
    """The deliveries that are being made due: written down first, so that a killed worker's page is counted once."""
    paced_to: datetime | None = None
    """When the last of those made due so far is due."""
