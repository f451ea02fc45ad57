"""Which rows of `deliveries` carry an event: its own, or the batch that took it in. Nobody asks this but a replay.

There is no index over the members of batches, at tens of thousands of events a second it would cost more than all
others. A batch is named after one of its events, and its events happened within a short time of each other, so a
stretch of ids around the event is looked through.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from pymongo.database import Database

from app.lib import ids
from app.models.delivery import DeliveryState
from app.storage.client import Document, translated

NEAR_MS = 120_000
"""An event waits at most 60 s for others."""
_MOST_PER_EVENT = 100
"""More than a brand has endpoints."""
_EVENT_ID = re.compile(r"evt_[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)


class EventDeliveries:
    """Raises `StoreUnavailable` when MongoDB does not answer in time."""

    def __init__(self, database: Database[Document]) -> None:
        self._rows = database["deliveries"]

    def ids_of(
        self, brand_id: str, event_ids: Sequence[str], *, endpoint_id: str | None, states: Collection[DeliveryState]
    ) -> list[str]:
        """Ids of the deliveries that carry any of some events and are in one of some states, in their order.

        Args:
            event_ids: `evt_…`; what is spelt otherwise is nobody's. At most a few dozen.
        """
        known = [event_id for event_id in event_ids if _EVENT_ID.fullmatch(event_id)]
        query: dict[str, Any] = {
            "brand_id": {"$eq": brand_id},
            "state": {"$in": sorted(state.value for state in states)},
        }
        if endpoint_id is not None:
            query["endpoint_id"] = {"$eq": endpoint_id}
        found: set[str] = set()
        with translated():
            for event_id in known:
                for part in (_alone(event_id), _in_a_batch(event_id)):
                    rows = self._rows.find({**query, **part}, {"_id": 1}).hint("by_brand").limit(_MOST_PER_EVENT)
                    found.update(row["_id"] for row in rows)
        return sorted(found)


def _alone(event_id: str) -> Document:
    return {"_id": {"$gt": f"{event_id}:", "$lt": f"{event_id};"}}


def _in_a_batch(event_id: str) -> Document:
    ms = ids.ms_of(ids.from_text(event_id.removeprefix("evt_")))
    first, last = (ids.event_id_text(ids.make_id(at, bytes(10))) for at in (max(0, ms - NEAR_MS), ms + NEAR_MS))
    return {"_id": {"$gt": first, "$lt": last}, "items.e": event_id}
