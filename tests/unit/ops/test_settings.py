"""The environment: what is wrong with it is said at once, by name and without a value, and what is right arrives."""

from __future__ import annotations

from base64 import b64encode

import pytest

from app.webhooks.rules import breaker_rules, health_rules
from config.settings import SettingsError, load_settings

KEY = b64encode(bytes(32)).decode()
NEEDED = {
    "TELLTALE_MONGO_URL": "mongodb://mongo.example/",
    "TELLTALE_REDIS_URL": "redis://redis.example/0",
    "TELLTALE_CODE_KEY": KEY,
    "TELLTALE_MASTER_KEYS": f"k1:{KEY}",
}


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("WEBHOOK_STRIKES", "0", "must be a number from 1"),
        ("WEBHOOK_STRIKES", "-3", "must be a number from 1"),
        ("WEBHOOK_DISABLE_FAILURES", "many", "must be a number from 1"),
        ("WEBHOOK_BREAKER_ATTEMPTS", "1.5", "must be a number from 1"),
        ("WEBHOOK_BREAKER_ATTEMPTS", "٣", "must be a number from 1"),
        ("WEBHOOK_BREAKER_PERCENT", "101", "must be at most 100"),
        ("WEBHOOK_DISABLE_AFTER_HOURS", "0", "must be above zero"),
    ],
)
def test_a_limit_that_makes_no_sense_stops_the_start_and_is_named(name: str, value: str, fault: str) -> None:
    with pytest.raises(SettingsError, match=f"TELLTALE_{name}: {fault}"):
        load_settings({**NEEDED, f"TELLTALE_{name}": value})


def test_every_fault_is_named_at_once_and_no_value_is_shown() -> None:
    environ = {"TELLTALE_CODE_KEY": "c2VjcmV0", "TELLTALE_WEBHOOK_STRIKES": "x"}
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    text = str(caught.value)
    for name in ("MONGO_URL", "REDIS_URL", "CODE_KEY", "MASTER_KEYS", "WEBHOOK_STRIKES"):
        assert f"TELLTALE_{name}" in text
    assert "c2VjcmV0" not in text


def test_what_the_operator_says_of_failing_endpoints_is_what_their_rules_are() -> None:
    said = {
        "TELLTALE_WEBHOOK_BREAKER_ATTEMPTS": "5",
        "TELLTALE_WEBHOOK_BREAKER_PERCENT": "90",
        "TELLTALE_WEBHOOK_DISABLE_AFTER_HOURS": "48",
        "TELLTALE_WEBHOOK_DISABLE_FAILURES": "7",
        "TELLTALE_WEBHOOK_STRIKES": "2",
    }
    settings = load_settings({**NEEDED, **said})
    health, breaker = health_rules(settings), breaker_rules(settings)
    assert (health.disable_after_seconds, health.disable_failures, health.strikes) == (48 * 3600, 7, 2)
    assert (breaker.min_attempts, breaker.failed_percent) == (5, 90)
