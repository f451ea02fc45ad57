"""What an endpoint can be told, changed by and shown as; disabling, enabling and recovering it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from app.lib import clock
from app.models.delivery import Batching, Delivery, DeliveryState, DisabledReason, Item, Transport
from app.services import Services, build_services
from app.storage.endpoint_health import EndpointHealth
from app.storage.replays import Replays
from config.settings import load_settings
from tests.integration.api.api_bodies import Call, assert_problem
from tests.integration.api.conftest import BRANDS

URL = "https://hooks.alder.example/in"
QUEUE = "amqps://mark-of-a-user:mark-of-a-password@mq.alder.example/hooks?queue=events"
FULL = {
    "url": URL,
    "events": ["endpoint.failing", "message.clicked"],
    "mode": "full",
    "transport": "http_then_queue",
    "queue": QUEUE,
    "batching": {"max_events": 500, "max_bytes": 65536, "max_wait_seconds": 60},
    "headers": {"X-Team": "mark-of-a-header"},
    "strict": True,
    "rate_per_second": 0.5,
    "deadline_seconds": 30,
    "max_in_flight": 64,
    "delays": [1, 86400],
    "fallback_attempts": 20,
    "description": "The shop's",
}
ON_FILE = """    endpoints: [{id: main, url: "https://hooks.alder.example/file", secrets: ["env:ALDER_SECRET"]}]
  - id: birch"""


@pytest.fixture
def services(
    environment: dict[str, str],
    tmp_path: Path,
    database: Database[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Services]:
    """With an endpoint of brands.yaml."""
    monkeypatch.setenv("ALDER_SECRET", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
    brands = tmp_path / "brands.yaml"
    brands.write_text(BRANDS.replace("  - id: birch", ON_FILE), encoding="utf-8")
    found = build_services(load_settings({**environment, "TELLTALE_BRANDS_FILE": str(brands)}), role="web")
    yield found
    found.close()


@pytest.fixture
def health(services: Services) -> EndpointHealth:
    return services.endpoint_health


@pytest.fixture
def make(call: Call) -> Callable[..., dict[str, Any]]:
    def make(**body: Any) -> dict[str, Any]:
        response = call("POST", "/v1/endpoints", {"url": URL, **body})
        assert response.status_code == 201, response.text
        found: dict[str, Any] = response.get_json()
        return found

    return make


def test_every_setting_is_kept_shown_and_credentials_never_again(
    call: Call, services: Services, make: Callable[..., dict[str, Any]]
) -> None:
    made = make(**FULL)
    same = {name: value for name, value in FULL.items() if name not in ("queue", "headers")}
    assert {name: made[name] for name in same} == same
    assert made["queue"] == "amqps://mq.alder.example/hooks?queue=events"
    assert made["header_names"] == ["x-team"]
    stored = services.endpoints.get("alder", made["id"])
    assert stored is not None
    endpoint = stored.endpoint
    assert (endpoint.queue, endpoint.headers) == (QUEUE, (("x-team", "mark-of-a-header"),))
    assert (endpoint.transport, endpoint.batching) == (Transport.HTTP_THEN_QUEUE, Batching(500, 65536, 60.0))
    assert "mark-of" not in repr(list(services.database["endpoints"].find()))
    for answer in (call("GET", "/v1/endpoints"), call("GET", f"/v1/endpoints/{made['id']}")):
        assert "mark-of" not in answer.text
    routed = services.endpoints.for_brands(["alder"])["alder"][0]
    assert (routed.transport, routed.batching, routed.strict) == (Transport.HTTP_THEN_QUEUE, endpoint.batching, True)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"transport": "carrier-pigeon"}, "/transport"),
        ({"transport": "queue"}, "/queue"),
        ({"transport": "http_then_queue"}, "/queue"),
        ({"url": None}, "/url"),
        ({"queue": "amqps://mq.alder.example/no-credentials?queue=q"}, "/queue"),
        ({"queue": "amqps://u:p@localhost/?queue=q"}, "/queue"),
        ({"batching": {"max_events": 0}}, "/batching/max_events"),
        ({"batching": {"max_events": 501}}, "/batching/max_events"),
        ({"batching": {"max_bytes": 262_145}}, "/batching/max_bytes"),
        ({"batching": {"max_wait_seconds": 0.5}}, "/batching/max_wait_seconds"),
        ({"batching": {"max_wait_seconds": 61}}, "/batching/max_wait_seconds"),
        ({"headers": {"host": "x"}}, "/headers"),
        ({"headers": {"x-a": "1\r\nx-b: 2"}}, "/headers"),
        ({"headers": {"webhook-id": "1"}}, "/headers"),
        ({"headers": {f"x-{n}": "1" for n in range(21)}}, "/headers"),
        ({"strict": 1}, "/strict"),
        ({"rate_per_second": 0}, "/rate_per_second"),
        ({"rate_per_second": 10_001}, "/rate_per_second"),
        ({"deadline_seconds": 4.9}, "/deadline_seconds"),
        ({"deadline_seconds": 31}, "/deadline_seconds"),
        ({"max_in_flight": 0}, "/max_in_flight"),
        ({"max_in_flight": 65}, "/max_in_flight"),
        ({"delays": [86_401]}, "/delays/0"),
        ({"delays": [1] * 21}, "/delays"),
        ({"delays": [86_400] * 8}, "/delays"),
        ({"fallback_attempts": 0}, "/fallback_attempts"),
        ({"fallback_attempts": 21}, "/fallback_attempts"),
        ({"events": ["message.guessed"]}, "/events/0"),
        ({"description": "x" * 201}, "/description"),
        ({"disabled": True}, "/disabled"),
    ],
)
def test_a_setting_outside_its_bounds_is_refused_with_a_pointer(
    call: Call, services: Services, body: dict[str, Any], pointer: str
) -> None:
    problem = call("POST", "/v1/endpoints", {"url": URL, **body})
    assert problem.status_code == 422
    assert problem.get_json(force=True)["errors"][0]["pointer"] == pointer
    assert services.database["endpoints"].count_documents({}) == 0


def test_a_change_leaves_what_it_does_not_name(call: Call, make: Callable[..., dict[str, Any]]) -> None:
    made = make(**FULL)
    path = f"/v1/endpoints/{made['id']}"
    before = call("GET", path).get_json()
    changed = call("PATCH", path, {"url": URL + "/2", "batching": None, "rate_per_second": None, "headers": {}})
    expected = {name: value for name, value in before.items() if name not in ("batching", "rate_per_second")}
    assert changed.get_json() == expected | {"url": URL + "/2", "header_names": []}
    assert call("GET", path).get_json() == changed.get_json()
    assert call("PATCH", path, {}).get_json() == changed.get_json()


def test_a_change_is_held_against_the_whole_endpoint(call: Call, make: Callable[..., dict[str, Any]]) -> None:
    path = f"/v1/endpoints/{make(transport='queue', url=None, queue=QUEUE)['id']}"
    assert "url" not in call("GET", path).get_json()
    problem = assert_problem(call("PATCH", path, {"transport": "http"}), 422, "invalid_request")
    assert problem["errors"][0]["pointer"] == "/url"
    assert call("PATCH", path, {"transport": "http", "url": URL}).status_code == 200
    assert call("PATCH", path, {"queue": None}).status_code == 200


def test_the_repeat_of_a_change_does_not_undo_a_later_one(call: Call, make: Callable[..., dict[str, Any]]) -> None:
    path = f"/v1/endpoints/{make()['id']}"
    call("PATCH", path, {"description": "first"}, idempotency="k")
    call("PATCH", path, {"description": "second"})
    again = call("PATCH", path, {"description": "first"}, idempotency="k")
    assert (again.get_json()["description"], again.headers["Idempotent-Replayed"]) == ("second", "true")


def test_an_endpoint_of_the_file_is_shown_disabled_and_enabled_but_not_changed(call: Call) -> None:
    path = "/v1/endpoints/main"
    shown = call("GET", path).get_json()
    assert (shown["source"], shown["state"], shown["secrets"]) == ("file", "active", [])
    assert_problem(call("PATCH", path, {"url": URL}), 409, "endpoint_in_file")
    assert_problem(call("DELETE", path), 409, "endpoint_in_file")
    assert_problem(call("POST", f"{path}/secrets", {}), 409, "endpoint_in_file")
    off = call("PATCH", path, {"disabled": True}).get_json()
    assert (off["state"], off["disabled_reason"]) == ("disabled", "owner")
    assert call("GET", "/v1/endpoints").get_json()["endpoints"] == [off]
    assert call("PATCH", path, {"disabled": False}).get_json() == shown


def test_what_the_health_of_an_endpoint_says_is_shown(
    call: Call, health: EndpointHealth, make: Callable[..., dict[str, Any]]
) -> None:
    made = make()
    assert made["state"] == "active"
    health.note("alder", made["id"], now=clock.now(), failed=1, mark="endpoint_redirects", location_host="b.example")
    health.disable("alder", made["id"], DisabledReason.GONE, clock.now())
    shown = call("GET", f"/v1/endpoints/{made['id']}").get_json()
    assert (shown["state"], shown["disabled_reason"], shown["mark"]) == ("disabled", "gone", "endpoint_redirects")
    assert {"disabled_at", "failing_since"} <= shown.keys()
    assert call("GET", "/v1/endpoints").get_json()["endpoints"][1] == shown
    assert_problem(call("POST", f"/v1/endpoints/{made['id']}/test"), 409, "endpoint_disabled")
    call("DELETE", f"/v1/endpoints/{made['id']}")
    assert health.of_brand("alder") == {}


def test_enabling_recovers_what_was_parked_since_it_was_disabled(
    call: Call, services: Services, health: EndpointHealth, make: Callable[..., dict[str, Any]]
) -> None:
    path = f"/v1/endpoints/{make()['id']}"
    endpoint_id = path.rpartition("/")[2]
    assert_problem(call("PATCH", path, {"disabled": False, "recover": True}), 409, "not_disabled")
    assert_problem(call("PATCH", path, {"recover": True}), 409, "not_disabled")
    call("PATCH", path, {"disabled": True})
    now = clock.now()
    event_id = "evt_01JGFJJZ00N5Q8ZK3W7D9XBTEM"
    parked = Delivery(
        id=f"{event_id}:{endpoint_id}",
        endpoint_id=endpoint_id,
        brand_id="alder",
        items=(Item(event_id, "message.opened", b"{}"),),
        created_at=now,
        next_attempt_at=now,
        state=DeliveryState.PARKED,
    )
    services.deliveries.insert_many([parked])
    on = call("PATCH", path, {"disabled": False, "recover": True}, idempotency="k")
    replay = call("GET", f"/v1/replays/{on.get_json()['replay_id']}").get_json()
    assert (replay["state"], replay["endpoint_id"], replay["total"]) == ("running", endpoint_id, 1)
    assert on.get_json()["state"] == "active"
    again = call("PATCH", path, {"disabled": False, "recover": True}, idempotency="k")
    assert again.get_json() == on.get_json()
    assert len(Replays(services.database).list_for_brand("alder")) == 1


def test_a_test_event_is_stored_for_this_endpoint_alone(
    call: Call, services: Services, make: Callable[..., dict[str, Any]]
) -> None:
    made = make(events=["message.clicked"])
    make()
    sent = call("POST", f"/v1/endpoints/{made['id']}/test", idempotency="k")
    assert sent.status_code == 202
    assert call("POST", f"/v1/endpoints/{made['id']}/test", idempotency="k").data == sent.data
    (delivery,) = call("GET", "/v1/deliveries").get_json()["deliveries"]
    assert (delivery["id"], delivery["event_type"]) == (sent.get_json()["delivery_id"], "endpoint.test")
    assert delivery["endpoint_id"] == made["id"]
    assert call("POST", "/v1/endpoints/main/test").status_code == 202
    assert_problem(call("POST", "/v1/endpoints/ep_unknown/test"), 404, "not_found")
    until = clock.now() + timedelta(minutes=1)
    assert services.deliveries.has_due("alder", made["id"], now=until)
