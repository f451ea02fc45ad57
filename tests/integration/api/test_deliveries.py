"""`GET /v1/deliveries/{id}`: the whole log of one delivery. The list is in `test_endpoints`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.lib import clock
from app.models.delivery import Attempt, Delivery, DeliveryState, Item, Result
from app.services import Services
from tests.integration.api.api_bodies import Call, assert_problem

EVENTS = ("evt_01JGFJJZ00N5Q8ZK3W7D9XBTEM", "evt_01JGFJJZ00N5Q8ZK3W7D9XBTEN")
URL = "https://hooks.alder.example/in?token=mark-of-a-token"


@pytest.fixture
def delivery() -> Delivery:
    now = clock.now()
    return Delivery(
        id=f"{EVENTS[0]}:main",
        endpoint_id="main",
        brand_id="alder",
        items=(Item(EVENTS[0], "message.opened", b"{}"),),
        created_at=now,
        next_attempt_at=now,
    )


def fail(services: Services, delivery: Delivery) -> None:
    services.deliveries.insert_many([delivery])
    now = clock.now()
    (claimed,) = services.deliveries.claim("alder", "main", now=now, lease_seconds=30, limit=1, token="t")
    attempt = Attempt(1, now, 0.25, "http_500", 500, URL, "not today")
    after = replace(claimed, state=DeliveryState.DEAD, attempts=1, closed="aborted")
    services.deliveries.record_results([Result(after, attempt)], token="t", now=now)


def test_one_delivery_shows_where_each_attempt_went_and_what_was_answered(
    call: Call, services: Services, delivery: Delivery
) -> None:
    fail(services, delivery)
    shown = call("GET", f"/v1/deliveries/{delivery.id}").get_json()
    (attempt,) = shown["log"]
    assert (attempt["url"], attempt["response"]) == (URL, "not today")
    assert (attempt["outcome"], attempt["status"], attempt["seconds"]) == ("http_500", 500, 0.25)
    assert (shown["state"], shown["closed"], shown["webhook_id"]) == ("dead", "aborted", EVENTS[0])
    (listed,) = call("GET", "/v1/deliveries?state=dead").get_json()["deliveries"]
    assert listed == {**shown, "log": [{key: attempt[key] for key in attempt if key not in ("url", "response")}]}
    assert call("GET", "/v1/deliveries?state=parked").get_json()["deliveries"] == []


def test_a_batch_names_its_events(call: Call, services: Services, delivery: Delivery) -> None:
    items = tuple(Item(event_id, "message.opened", b"{}") for event_id in EVENTS)
    batch = replace(delivery, items=items, batch_id="bat_01JGFJM0000000000000000001")
    part = replace(batch, id=f"{EVENTS[1]}:main:bat_01JGFJM0000000000000000002", items=items[1:])
    services.deliveries.insert_many([batch, part])
    shown = call("GET", f"/v1/deliveries/{batch.id}").get_json()
    assert (shown["event_ids"], shown["events"], shown["event_type"]) == (list(EVENTS), 2, "events.batch")
    assert (shown["webhook_id"], shown["event_id"]) == (batch.batch_id, EVENTS[0])
    assert call("GET", f"/v1/deliveries/{part.id}").get_json()["event_ids"] == [EVENTS[1]]
    first = call("GET", "/v1/deliveries?limit=1").get_json()
    (second,) = call("GET", f"/v1/deliveries?cursor={first['next_cursor']}").get_json()["deliveries"]
    assert (first["deliveries"][0]["id"], second["id"]) == (part.id, batch.id)


def test_another_brands_delivery_is_not_there(call: Call, services: Services, delivery: Delivery) -> None:
    services.deliveries.insert_many([delivery])
    assert_problem(call("GET", f"/v1/deliveries/{delivery.id}", brand="birch"), 404, "not_found")
    for unknown in ("evt_1:main", f"{EVENTS[1]}:main", "x"):
        assert_problem(call("GET", f"/v1/deliveries/{unknown}"), 404, "not_found")
