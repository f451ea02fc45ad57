"""When an endpoint is disabled, when its owner is warned, and when it is well again: about days; about seconds is
`breaker`. What is known of endpoints is kept by `app.storage.endpoint_health`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.lib import clock
from app.models.delivery import DisabledReason
from app.models.endpoint_health import (
    ENDPOINT_DISABLED,
    ENDPOINT_FAILING,
    ENDPOINT_RECOVERED,
    Health,
    Notice,
    Seen,
)
from app.webhooks.answers import MARK_CONFIG

_HOUR = 3600.0
_REFUSED = ("http_400", "http_422")
_MISCONFIGURED = ("http_401", "http_403", "http_404", "http_405", "http_415", "no_secret")


@dataclass(frozen=True, slots=True)
class HealthRules:
    """Times are seconds. An endpoint is disabled only when all three limits of `disable_…` are reached, so neither a
    weekend's outage nor two failures far apart do it."""

    disable_after_seconds: float = 120 * _HOUR
    """Counted from the first failure after the last success: an endpoint that had nothing to take was not failing."""
    disable_failures: int = 20
    disable_windows: int = 3
    window_seconds: float = 12 * _HOUR
    warn_after_seconds: tuple[float, ...] = (24 * _HOUR, 72 * _HOUR)
    alert_every_seconds: float = _HOUR
    strikes: int = 3
    strike_seconds: float = _HOUR
    same_refusals: int = 3
    """So many identical refusals in a row are the endpoint's configuration and not an event's fault."""
    success_seconds: float = 300.0
    """So much the time of the last success may be behind: a healthy endpoint costs a write every five minutes."""

    def after(self, endpoint_id: str, health: Health, seen: Seen, now: datetime) -> tuple[Health, list[Notice]]:
        """The health after a run, and what its owner is to be told. Equal to the health before when nothing changed."""
        if health.disabled is not None:
            return health, []  # it was disabled while this run was under way: enabling it starts anew
        marked = self._marked(health, seen)
        if seen.blocked:
            marked, unsafe = self._struck(marked, now)
            if unsafe:
                return _disabled(endpoint_id, marked, DisabledReason.UNSAFE_ADDRESS, now)
        if seen.succeeded:
            return self._succeeded(endpoint_id, marked, seen, now)
        if seen.failed:
            return self._failed(endpoint_id, marked, seen, now)
        return marked, []

    def _succeeded(self, endpoint_id: str, health: Health, seen: Seen, now: datetime) -> tuple[Health, list[Notice]]:
        well = health._replace(failing_since=None, failures=0, windows=(), warned_seconds=0.0)
        last = health.last_success_at
        if well != health or last is None or (now - last).total_seconds() >= self.success_seconds:
            well = well._replace(last_success_at=now)
        if seen.alert:
            return self._alerted(endpoint_id, well, seen, now)
        if not well.told:
            return well, []
        data: dict[str, Any] = {"endpoint_id": endpoint_id, "recovered_at": clock.rfc3339(now)}
        if health.failing_since is not None:
            data["failing_since"] = clock.rfc3339(health.failing_since)
        return well._replace(told=False, last_success_at=now), [Notice(ENDPOINT_RECOVERED, data)]

    def _failed(self, endpoint_id: str, health: Health, seen: Seen, now: datetime) -> tuple[Health, list[Notice]]:
        since = health.failing_since or now
        windows, window = health.windows, int(now.timestamp() // self.window_seconds)
        if window not in windows and len(windows) < self.disable_windows:
            windows = (*windows, window)
        failing = health._replace(failing_since=since, failures=health.failures + seen.failed, windows=windows)
        seconds = (now - since).total_seconds()
        if (
            seconds >= self.disable_after_seconds
            and failing.failures >= self.disable_failures
            and len(windows) >= self.disable_windows
        ):
            return _disabled(endpoint_id, failing, DisabledReason.FAILING, now)
        failing, notices = self._alerted(endpoint_id, failing, seen, now)
        passed = max((limit for limit in self.warn_after_seconds if limit <= seconds), default=0.0)
        if passed > failing.warned_seconds:
            failing = failing._replace(warned_seconds=passed, told=True)
            notices.append(self._warning(endpoint_id, failing, since))
        return failing, notices

    def _warning(self, endpoint_id: str, health: Health, since: datetime) -> Notice:
        data = {
            "endpoint_id": endpoint_id,
            "reason": "no_success",
            "hours": round(health.warned_seconds / _HOUR),
            "failing_since": clock.rfc3339(since),
            "failures": health.failures,
            "disabled_from": clock.rfc3339(since + timedelta(seconds=self.disable_after_seconds)),
        }
        return Notice(ENDPOINT_FAILING, data)

    def _alerted(self, endpoint_id: str, health: Health, seen: Seen, now: datetime) -> tuple[Health, list[Notice]]:
        last = health.alerted_at
        if not seen.alert or (last is not None and (now - last).total_seconds() < self.alert_every_seconds):
            return health, []
        data = {"endpoint_id": endpoint_id, "reason": "configuration"}
        if found := next((outcome for outcome in _MISCONFIGURED if outcome in seen.outcomes), ""):
            data["outcome"] = found
        return health._replace(alerted_at=now, told=True), [Notice(ENDPOINT_FAILING, data)]

    def _struck(self, health: Health, now: datetime) -> tuple[Health, bool]:
        """One strike a run, however many attempts were stopped: they share one look-up, which may be a slip of DNS."""
        recent = (moment for moment in health.strikes if (now - moment).total_seconds() < self.strike_seconds)
        strikes = (*recent, now)[-self.strikes :]
        return health._replace(strikes=strikes), len(strikes) >= self.strikes

    def _marked(self, health: Health, seen: Seen) -> Health:
        if seen.succeeded:
            health = health._replace(mark="", location_host="", refused_as="", refusals=0)
        if seen.mark != MARK_CONFIG:
            if seen.failed:
                health = health._replace(refused_as="", refusals=0)
            return health._replace(mark=seen.mark, location_host=seen.location_host) if seen.mark else health
        if seen.succeeded:
            return health  # it takes others: what it refused is that event's fault
        outcome = max(_REFUSED, key=lambda one: seen.outcomes.get(one, 0))
        before = health.refusals if health.refused_as == outcome else 0
        refusals = min(before + max(1, seen.outcomes.get(outcome, 0)), self.same_refusals)
        mark = MARK_CONFIG if refusals >= self.same_refusals else health.mark
        return health._replace(refused_as=outcome, refusals=refusals, mark=mark)


def disabled_notice(endpoint_id: str, reason: DisabledReason, now: datetime) -> Notice:
    """What the brand is told by whoever disabled an endpoint."""
    return Notice(
        ENDPOINT_DISABLED,
        {"endpoint_id": endpoint_id, "reason": reason.value, "disabled_at": clock.rfc3339(now)},
    )


def _disabled(endpoint_id: str, health: Health, reason: DisabledReason, now: datetime) -> tuple[Health, list[Notice]]:
    disabled = health._replace(disabled=reason, disabled_at=now, told=True)
    return disabled, [disabled_notice(endpoint_id, reason, now)]
