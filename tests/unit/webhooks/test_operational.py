"""Operational events: their bodies, and that a receiver can verify them."""

from __future__ import annotations

import base64
import json
import math
import re
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from app.lib import clock
from app.models.delivery import DisabledReason
from app.models.endpoint_health import OPERATIONAL_TYPES, Health, Seen
from app.webhooks.health import HealthRules, disabled_notice
from app.webhooks.operational import operational_item
from app.webhooks.signing import sign

NOW = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
KEY = bytes(range(32))


def test_the_types_are_those_of_the_contract() -> None:
    assert {
        "endpoint.test",
        "endpoint.failing",
        "endpoint.disabled",
        "endpoint.recovered",
        "deliveries.exhausted",
    } == OPERATIONAL_TYPES


@pytest.mark.parametrize("event_type", sorted(OPERATIONAL_TYPES))
def test_a_body_has_the_fields_of_every_body_and_the_brand(event_type: str) -> None:
    item = operational_item(event_type, "harbour", {"endpoint_id": "main"}, NOW)
    assert re.fullmatch(r"evt_[0-9A-HJKMNP-TV-Z]{26}", item.event_id)
    assert (item.event_type, item.key_id) == (event_type, b"")
    assert json.loads(item.body) == {
        "id": item.event_id,
        "type": event_type,
        "timestamp": "2026-01-01T12:00:00.250Z",
        "schema": "2026-01-01",
        "data": {"brand_id": "harbour", "endpoint_id": "main"},
    }


@pytest.mark.parametrize("event_type", sorted(OPERATIONAL_TYPES))
def test_the_independent_library_verifies_every_type(event_type: str) -> None:
    item = operational_item(event_type, "harbour", {"note": "größer ✓"}, NOW)
    timestamp = clock.now_ms() // 1000
    headers = {
        "webhook-id": item.event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign([KEY], item.event_id, timestamp, item.body),
    }
    told = Webhook("whsec_" + base64.b64encode(KEY).decode()).verify(item.body, headers)
    assert told["data"]["note"] == "größer ✓"
    assert item.body.isascii()


def test_each_is_an_event_of_its_own_unless_its_id_is_given() -> None:
    first, second = (operational_item("endpoint.test", "harbour", {}, NOW) for _ in range(2))
    assert first.event_id != second.event_id
    again = operational_item("endpoint.test", "harbour", {}, NOW, event_id=first.event_id)
    assert again == first


def test_no_data_can_name_another_brand() -> None:
    item = operational_item("endpoint.test", "harbour", {"brand_id": "meadow"}, NOW)
    assert json.loads(item.body)["data"] == {"brand_id": "harbour"}


def test_what_is_told_of_messages_is_not_operational() -> None:
    with pytest.raises(ValueError, match=r"message\.opened is no operational event type"):
        operational_item("message.opened", "harbour", {}, NOW)


def test_a_number_that_is_not_json_is_refused() -> None:
    with pytest.raises(ValueError):
        operational_item("endpoint.failing", "harbour", {"hours": math.nan}, NOW)


def test_every_notice_of_an_endpoints_health_can_be_told() -> None:
    rules, health = HealthRules(), Health()
    notices = [disabled_notice("main", DisabledReason.GONE, NOW)]
    for hours, seen in [
        (0, Seen(failed=1, alert=True, outcomes={"http_401": 1})),
        (24, Seen(failed=1)),
        (25, Seen(succeeded=1)),
    ]:
        health, told = rules.after("main", health, seen, NOW + timedelta(hours=hours))
        notices += told
    bodies = [json.loads(operational_item(one.type, "harbour", one.data, NOW).body) for one in notices]
    assert [body["type"] for body in bodies] == [
        "endpoint.disabled",
        "endpoint.failing",
        "endpoint.failing",
        "endpoint.recovered",
    ]
    assert {body["data"]["endpoint_id"] for body in bodies} == {"main"}
