"""What is told of endpoints and deliveries themselves and not of a message: test events, warnings, a loss.

Ordinary events in every other respect: stored, signed, retried and replayed as those of messages are (`payload`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.lib import clock, ids
from app.models.delivery import Item
from app.models.endpoint_health import OPERATIONAL_TYPES
from app.webhooks.payload import SCHEMA

_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


def operational_item(
    event_type: str, brand_id: str, data: Mapping[str, Any], now: datetime, *, event_id: str = ""
) -> Item:
    """An operational event as it is told. Sealed by the brand's key: it is about no person.

    Args:
        event_type: one of `OPERATIONAL_TYPES`.
        data: what the brand may see, without URLs and secrets.
        now: when it happened.
        event_id: `evt_…`; the same one and the same data give the same bytes. By default a new one.

    Raises:
        ValueError: the type is not operational, or the data is no JSON.
    """
    if event_type not in OPERATIONAL_TYPES:
        raise ValueError(f"{event_type} is no operational event type.")
    event_id = event_id or ids.event_id_text(ids.new_id(int(now.timestamp() * 1000)))
    body = {
        "id": event_id,
        "type": event_type,
        "timestamp": clock.rfc3339(now),
        "schema": SCHEMA,
        "data": {**data, "brand_id": brand_id},
    }
    return Item(event_id, event_type, _encode(body).encode("ascii"))
