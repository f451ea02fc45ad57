"""The test event: what an owner has sent to one endpoint to see that it arrives and verifies."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from app.models.delivery import Delivery, Endpoint
from app.models.endpoint_health import ENDPOINT_TEST
from app.webhooks.operational import operational_item
from app.webhooks.routing import delivery_of


def test_delivery(endpoint: Endpoint, event_id: str, now: datetime) -> Delivery:
    """Sent as everything else the endpoint gets, only that it waits for no others.

    Args:
        event_id: `evt_…`; the same one gives the same delivery.
    """
    data = {"endpoint_id": endpoint.id}
    item = operational_item(ENDPOINT_TEST, endpoint.brand_id, data, now, event_id=event_id)
    return replace(delivery_of(endpoint, (item,), now), next_attempt_at=now)
