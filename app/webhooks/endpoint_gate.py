"""The gate of a real endpoint: its breaker and its rate, and what a run's tally means for its health."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from app.models.breaker import Permit
from app.models.delivery import DisabledReason, Endpoint
from app.models.endpoint_health import DELIVERIES_EXHAUSTED, Notice
from app.models.endpoint_health import Health as HealthNow
from app.webhooks.gate import Leave, Tally
from app.webhooks.health import disabled_notice


class Breakers(Protocol):
    def permit(
        self, brand_id: str, endpoint_id: str, now: datetime, *, failing_since: datetime | None = None
    ) -> Permit: ...
    def note(self, brand_id: str, endpoint_id: str, *, ok: int, failed: int, hung: int, now: datetime) -> Permit: ...


class Rates(Protocol):
    def take(self, brand_id: str, endpoint_id: str, wanted: int, rate: float, now: datetime) -> tuple[int, float]: ...
    def throttle(self, brand_id: str, endpoint_id: str, *, now: datetime) -> None: ...


class Health(Protocol):
    def note(
        self,
        brand_id: str,
        endpoint_id: str,
        *,
        now: datetime,
        succeeded: int = 0,
        failed: int = 0,
        mark: str = "",
        alert: bool = False,
        blocked: int = 0,
        outcomes: Mapping[str, int] | None = None,
        location_host: str = "",
        known: HealthNow | None = None,
    ) -> list[Notice]: ...
    def disable(self, brand_id: str, endpoint_id: str, reason: DisabledReason, now: datetime) -> bool: ...


class EndpointGate:
    """Args:
    known: how the endpoint was when the run began.
    tell: tells the brand what concerns an endpoint, over its other endpoints.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        breakers: Breakers,
        rates: Rates,
        health: Health,
        tell: Callable[[Endpoint, Sequence[Notice]], None],
        known: HealthNow,
    ) -> None:
        self._endpoint = endpoint
        self._key = (endpoint.brand_id, endpoint.id)
        self._breakers = breakers
        self._rates = rates
        self._health = health
        self._tell = tell
        self._known = known
        self._probing = False

    def leave(self, wanted: int, now: datetime) -> Leave:
        permit = self._breakers.permit(*self._key, now, failing_since=self._known.suspect_since)
        if not permit.allowed:
            wait = 1.0 if permit.open_until is None else (permit.open_until - now).total_seconds()
            return Leave(0, max(0.1, wait), open_since=permit.open_since)
        if permit.probe:
            self._probing = True
            return Leave(1, slow=permit.throttled, open_since=permit.open_since)
        rate = self._endpoint.rate_per_second
        if rate is None:
            return Leave(slow=permit.throttled)
        granted, seconds = self._rates.take(*self._key, wanted, rate, now)
        return Leave(granted, seconds, slow=permit.throttled)

    def note(self, tally: Tally, now: datetime) -> None:
        notices: list[Notice] = []
        # A probe is given back also when nothing came of it, or nobody else may try for a minute.
        if self._probing or tally.succeeded or tally.failed:
            self._breakers.note(*self._key, ok=tally.succeeded, failed=tally.failed, hung=tally.hung, now=now)
        if tally.throttle:
            self._rates.throttle(*self._key, now=now)
        if tally.lost:
            notices.append(Notice(DELIVERIES_EXHAUSTED, {"endpoint_id": self._endpoint.id, "deliveries": tally.lost}))
        if tally.disabled is not None and self._health.disable(*self._key, tally.disabled, now):
            notices.append(disabled_notice(self._endpoint.id, tally.disabled, now))
        if tally.succeeded or tally.failed or tally.slowed:
            notices += self._health.note(
                *self._key,
                now=now,
                succeeded=tally.succeeded,
                failed=tally.failed + tally.slowed,
                mark=tally.mark,
                alert=tally.alert,
                blocked=tally.blocked,
                outcomes=tally.outcomes,
                location_host=tally.location_host,
                known=None if tally.disabled is not None else self._known,
            )
        if notices:
            self._tell(self._endpoint, notices)
