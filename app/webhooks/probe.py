"""The test event: what an owner has sent to one endpoint to see that it arrives and verifies."""

from __future__ import annotations

from datetime import datetime

from app.lib.batch_ids import batch_id_of
from app.models.delivery import Delivery, Endpoint
from app.models.endpoint_health import ENDPOINT_TEST
from app.webhooks.operational import operational_item


def test_delivery(endpoint: Endpoint, event_id: str, now: datetime) -> Delivery:
    """Sent as everything else the endpoint gets: as a batch of one where it takes batches.

    Args:
        event_id: `evt_…`; the same one gives the same delivery.
    """
    item = operational_item(ENDPOINT_TEST, endpoint.brand_id, {"endpoint_id": endpoint.id}, now, event_id=event_id)
    delivery_id = f"{event_id}:{endpoint.id}"
    return Delivery(
        id=delivery_id,
        endpoint_id=endpoint.id,
        brand_id=endpoint.brand_id,
        items=(item,),
        created_at=now,
        next_attempt_at=now,
        batch_id=batch_id_of(delivery_id, int(now.timestamp() * 1000)) if endpoint.batching else "",
        strict=endpoint.strict,
    )
