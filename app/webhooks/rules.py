"""The rules about failing endpoints with what the operator says of them."""

from __future__ import annotations

from app.webhooks.breaker import BreakerRules
from app.webhooks.health import HealthRules
from config.settings import Settings


def health_rules(settings: Settings) -> HealthRules:
    return HealthRules(
        disable_after_seconds=settings.webhook_disable_after_hours * 3600,
        disable_failures=settings.webhook_disable_failures,
        strikes=settings.webhook_strikes,
    )


def breaker_rules(settings: Settings) -> BreakerRules:
    return BreakerRules(
        min_attempts=settings.webhook_breaker_attempts,
        failed_percent=settings.webhook_breaker_percent,
        factor=settings.webhook_delay_factor,
    )
