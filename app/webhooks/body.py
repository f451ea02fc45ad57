"""The bytes of one request: the event's own, or those of a batch joined from its members' without reading them.

Made from what is stored alone, so every attempt and every replay of a delivery sends the same bytes.
"""

from __future__ import annotations

import json

from app.lib import clock
from app.models.delivery import Delivery
from app.webhooks.payload import SCHEMA


def delivery_body(delivery: Delivery) -> bytes:
    """The body of every attempt to make a delivery (webhooks.md, "Single body" and "Batch form").

    A batch's `timestamp` is the row's `created_at` in milliseconds, the precision in which it is stored.
    """
    if not delivery.batch_id:
        return delivery.items[0].body
    envelope = {
        "id": delivery.batch_id,
        "type": delivery.event_type,
        "timestamp": clock.rfc3339(delivery.created_at),
        "schema": SCHEMA,
    }
    head = json.dumps(envelope, separators=(",", ":"))[:-1] + f',"data":{{"count":{len(delivery.items)},"events":['
    return b"".join((head.encode("ascii"), b",".join([item.body for item in delivery.items]), b"]}}"))
