"""Whether endpoints are on, of brands.yaml and of the API alike, and switching them (`app.webhooks.health`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.lib import clock
from app.models.delivery import DisabledReason
from app.models.endpoint_health import Health
from app.services import Services


def state_json(health: Health) -> dict[str, Any]:
    """What the API shows of an endpoint's state."""
    shown: dict[str, Any] = {"state": "active"}
    if health.disabled is not None:
        shown = {"state": "disabled", "disabled_reason": health.disabled.value}
    times = {
        "disabled_at": health.disabled_at,
        "failing_since": health.failing_since,
        "last_success_at": health.last_success_at,
    }
    shown |= {name: clock.rfc3339(at) for name, at in times.items() if at is not None}
    if health.mark:
        shown["mark"] = health.mark
    if health.location_host:
        shown["location_host"] = health.location_host
    return shown


def switch(services: Services, brand_id: str, endpoint_id: str, *, disabled: bool, now: datetime) -> None:
    """Disable or enable an endpoint for its owner; nothing changes when it is so already."""
    if disabled:
        services.endpoint_health.disable(brand_id, endpoint_id, DisabledReason.OWNER, now)
    elif services.endpoint_health.enable(brand_id, endpoint_id, now):
        services.deliveries.turns.pause(brand_id, endpoint_id, until=now)  # its rest is over
