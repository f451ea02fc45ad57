"""`/v1/replays`: what may be asked for, what is answered, and that only a replay's brand sees and stops it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app.lib import clock, ids
from app.models.delivery import Delivery, DeliveryState, Item
from app.services import Services
from app.storage.event_deliveries import EventDeliveries
from app.storage.replays import MAX_RUNNING, Replays
from app.webhooks.replay import run_due
from config.queues import Queue
from tests.integration.api.api_bodies import Call, assert_problem

URL = "https://hooks.alder.example/in"
EVENT = "evt_01JGFJJZ00N5Q8ZK3W7D9XBTEM"
Store = Callable[..., list[str]]
SINCE = clock.rfc3339(clock.now() - timedelta(hours=1))


@pytest.fixture
def store(services: Services) -> Store:
    """Stores deliveries of an endpoint; answers their ids."""

    def store(endpoint_id: str, state: DeliveryState, count: int = 1) -> list[str]:
        now = clock.now()
        events = [ids.event_id_text(ids.new_id()) for _ in range(count)]
        made = [
            Delivery(
                id=f"{event_id}:{endpoint_id}",
                endpoint_id=endpoint_id,
                brand_id="alder",
                items=(Item(event_id, "message.opened", b"{}"),),
                created_at=now,
                next_attempt_at=now,
                state=state,
            )
            for event_id in events
        ]
        services.deliveries.insert_many(made)
        return [one.id for one in made]

    return store


@pytest.fixture
def endpoint_id(call: Call) -> str:
    return str(call("POST", "/v1/endpoints", {"url": URL}).get_json()["id"])


def test_a_dry_run_counts_and_changes_nothing(call: Call, services: Services, store: Store, endpoint_id: str) -> None:
    store(endpoint_id, DeliveryState.DEAD, 2)
    store(endpoint_id, DeliveryState.PARKED, 1)
    store(endpoint_id, DeliveryState.DELIVERED, 4)
    body = {"since": SINCE, "endpoint_id": endpoint_id, "recover": True, "dry_run": True}
    shown = call("POST", "/v1/replays", body).get_json()
    assert (shown["state"], shown["total"], shown["states"]) == ("dry_run", 3, ["dead", "parked"])
    assert "id" not in shown
    assert call("POST", "/v1/replays", {**body, "recover": False, "states": ["delivered"]}).get_json()["total"] == 4
    assert call("GET", "/v1/replays").get_json() == {"replays": []}
    assert services.database["deliveries"].count_documents({"state": "pending"}) == 0


def test_a_replay_is_begun_seen_and_carried_out(call: Call, services: Services, store: Store, endpoint_id: str) -> None:
    (delivery_id,) = store(endpoint_id, DeliveryState.DELIVERED)
    event_id = delivery_id.partition(":")[0]
    begun = call("POST", "/v1/replays", {"event_ids": [event_id]}, idempotency="k")
    shown = begun.get_json()
    assert (begun.status_code, shown["state"], shown["total"], shown["done"]) == (200, "running", 1, 0)
    assert services.broker.depths()[Queue.MAINTENANCE] == 1
    again = call("POST", "/v1/replays", {"event_ids": [event_id]}, idempotency="k")
    assert (again.data, again.headers["Idempotent-Replayed"]) == (begun.data, "true")
    assert call("GET", "/v1/replays").get_json() == {"replays": [shown]}
    finder = EventDeliveries(services.database)
    assert run_due(Replays(services.database), services.deliveries, finder, now=clock.now(), token="t") == 1
    done = call("GET", f"/v1/replays/{shown['id']}").get_json()
    assert (done["state"], done["done"]) == ("done", 1)
    delivery = call("GET", f"/v1/deliveries/{delivery_id}").get_json()
    assert (delivery["state"], delivery["webhook_id"], delivery["attempts"]) == ("pending", event_id, 0)


def test_a_replay_is_cancelled_by_its_brand_only(call: Call, store: Store, endpoint_id: str) -> None:
    store(endpoint_id, DeliveryState.DEAD)
    path = f"/v1/replays/{call('POST', '/v1/replays', {'since': SINCE}).get_json()['id']}"
    for method in ("GET", "DELETE"):
        assert_problem(call(method, path, brand="birch"), 404, "not_found")
        assert_problem(call(method, "/v1/replays/rpl_unknown"), 404, "not_found")
    assert call("GET", "/v1/replays", brand="birch").get_json() == {"replays": []}
    stopped = call("DELETE", path, idempotency="k")
    assert stopped.get_json()["state"] == "cancelled"
    assert call("DELETE", path, idempotency="k").data == stopped.data
    assert call("DELETE", path).get_json()["finished_at"] == stopped.get_json()["finished_at"]


def test_another_brands_events_are_not_replayed(call: Call, store: Store, endpoint_id: str) -> None:
    (delivery_id,) = store(endpoint_id, DeliveryState.DEAD)
    body = {"event_ids": [delivery_id.partition(":")[0]], "dry_run": True}
    assert call("POST", "/v1/replays", body).get_json()["total"] == 1
    assert call("POST", "/v1/replays", body, brand="birch").get_json()["total"] == 0
    by_endpoint = {"since": SINCE, "endpoint_id": endpoint_id, "dry_run": True}
    assert_problem(call("POST", "/v1/replays", by_endpoint, brand="birch"), 404, "not_found")


def test_so_many_replays_run_at_a_time(call: Call) -> None:
    for _ in range(MAX_RUNNING):
        assert call("POST", "/v1/replays", {"since": SINCE}).status_code == 200
    assert_problem(call("POST", "/v1/replays", {"since": SINCE}), 409, "too_many_replays")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/since"),
        ({"event_ids": [EVENT], "since": SINCE}, "/since"),
        ({"event_ids": []}, "/event_ids"),
        ({"event_ids": ["evt_1"]}, "/event_ids/0"),
        ({"event_ids": [EVENT] * 1001}, "/event_ids"),
        ({"event_ids": [EVENT], "recover": True}, "/event_ids"),
        ({"event_ids": [EVENT], "until": SINCE}, "/event_ids"),
        ({"since": "yesterday"}, "/since"),
        ({"since": "2999-01-01T00:00:00Z"}, "/since"),
        ({"since": SINCE, "until": "2026-01-01T00:00:00Z"}, "/until"),
        ({"since": SINCE, "states": ["pending"]}, "/states/0"),
        ({"since": SINCE, "states": []}, "/states"),
        ({"since": SINCE, "states": ["dead"], "recover": True}, "/states"),
        ({"since": SINCE, "endpoint_id": "a.b"}, "/endpoint_id"),
        ({"since": SINCE, "rate": 5}, "/rate"),
    ],
)
def test_what_no_replay_can_be_is_refused_with_a_pointer(call: Call, body: dict[str, Any], pointer: str) -> None:
    problem = assert_problem(call("POST", "/v1/replays", body), 422, "invalid_request")
    assert problem["errors"][0]["pointer"] == pointer
