"""The two tasks with real stores and a real broker; only the worker around them is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
from pymongo.database import Database

import tasks.webhooks
from app.lib import clock
from app.models.delivery import Delivery, DeliveryState, DisabledReason, Endpoint, Secret, Transport
from app.outbound import EndpointRuns
from app.services import Services, build_services
from app.storage.endpoints import new_endpoint_id
from app.storage.indexes import create_indexes
from app.webhooks.skew import ClockSkew
from config.settings import load_settings
from tasks.webhooks import deliver_endpoint, wake_due_endpoints
from tests.integration.webhooks.raw_server import RawServer, answer, silence, wait_until

MakeEndpoint = Callable[..., Endpoint]
MakeDeliveries = Callable[..., list[Delivery]]
BRANDS = """
version: 1
brands:
  - id: harbour
    name: Harbour Jobs
    channels: [email]
    tracking_hosts: [t.harbour.example]
    endpoints:
      - {id: main, url: "http://127.0.0.1:PORT/hook", secrets: ["env:HARBOUR_SECRET"]}
"""


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(answer()) as server:
        yield server


@pytest.fixture
def services(
    *,
    environment: dict[str, str],
    tmp_path: Path,
    database: Database[dict[str, Any]],
    server: RawServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Services]:
    """The worker's own services, as `tasks.base.services()` finds them: from the environment."""
    brands = tmp_path / "brands.yaml"
    brands.write_text(BRANDS.replace("PORT", str(server.port)), encoding="utf-8")
    create_indexes(database)
    monkeypatch.setenv("HARBOUR_SECRET", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
    found = build_services(load_settings({**environment, "TELLTALE_BRANDS_FILE": str(brands)}), role="worker")
    monkeypatch.setattr("tasks.base.services", lambda: found)
    monkeypatch.setattr("tasks.webhooks.services", lambda: found)
    monkeypatch.setattr("tasks.webhooks._courier", None)
    yield found
    if tasks.webhooks._courier is not None:
        tasks.webhooks._courier[1].stop(10)
    found.close()


def run(services: Services, endpoint_id: str = "main") -> bool:
    async def once() -> bool:
        runs = EndpointRuns(services)
        try:
            return await runs.run(("harbour", endpoint_id))
        finally:
            await runs.close()

    return asyncio.run(once())


def tick(services: Services) -> None:
    """Beat's tick, as if the one before were long ago."""
    services.redis.delete("telltale:tick:webhooks.wake_due_endpoints")
    wake_due_endpoints()


def test_what_is_due_for_an_endpoint_of_the_file_is_delivered(
    services: Services, server: RawServer, make_deliveries: MakeDeliveries
) -> None:
    services.deliveries.insert_many(make_deliveries(3))
    deliver_endpoint("harbour", "main")
    wait_until(lambda: services.deliveries.counts_by_state()[DeliveryState.DELIVERED] == 3)
    assert len(server.requests) == 3
    assert services.broker.depths()["webhooks"] == 0


def test_an_endpoint_made_through_the_api_is_delivered_to_and_closed_when_deleted(
    services: Services, server: RawServer, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries
) -> None:
    endpoint = make_endpoint(server.url, id=new_endpoint_id())
    services.endpoints.insert(endpoint, created_at=clock.now())
    services.deliveries.insert_many(make_deliveries(1, endpoint_id=endpoint.id))
    run(services, endpoint.id)
    assert len(server.requests) == 1
    services.endpoints.delete("harbour", endpoint.id)
    services.deliveries.insert_many(make_deliveries(2, endpoint_id=endpoint.id))
    run(services, endpoint.id)
    assert services.deliveries.counts_by_state()[DeliveryState.DEAD] == 2
    assert len(server.requests) == 1


def test_work_of_a_disabled_endpoint_is_parked_and_comes_back_with_a_replay(
    services: Services, server: RawServer, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries
) -> None:
    endpoint = make_endpoint(server.url, id=new_endpoint_id())
    services.endpoints.insert(endpoint, created_at=clock.now())
    assert services.endpoint_health.disable("harbour", endpoint.id, DisabledReason.GONE, clock.now())
    made = make_deliveries(2, endpoint_id=endpoint.id)
    services.deliveries.insert_many(made)
    assert not run(services, endpoint.id)
    assert services.deliveries.counts_by_state()[DeliveryState.PARKED] == 2
    assert server.connections == 0
    assert services.endpoint_health.enable("harbour", endpoint.id, clock.now())
    assert services.deliveries.replay("harbour", [one.id for one in made], nonce="r", due_at=clock.now()) == 2
    services.deliveries.turns.pause("harbour", endpoint.id, until=clock.now())
    run(services, endpoint.id)
    assert services.deliveries.counts_by_state()[DeliveryState.DELIVERED] == 2


def test_work_of_an_endpoint_missing_in_the_file_waits_three_days(
    services: Services, make_deliveries: MakeDeliveries
) -> None:
    old = replace(make_deliveries(1, endpoint_id="gone")[0], created_at=clock.now() - timedelta(hours=73))
    services.deliveries.insert_many([old, *make_deliveries(1, endpoint_id="gone")])
    run(services, "gone")
    counts = services.deliveries.counts_by_state()
    assert (counts[DeliveryState.DEAD], counts[DeliveryState.PENDING]) == (1, 1)


def test_an_emptied_redis_is_refilled_from_mongodb(
    services: Services, make_deliveries: MakeDeliveries, redis_url: str
) -> None:
    services.deliveries.insert_many(make_deliveries(5) + make_deliveries(5, endpoint_id="other"))
    tick(services)
    assert services.broker.depths()["webhooks"] == 2
    tick(services)
    assert services.broker.depths()["webhooks"] == 2, "a queued endpoint is not queued again"
    with redis.Redis.from_url(redis_url) as emptied:
        emptied.flushall()
    later = clock.now() + timedelta(seconds=20)
    assert len(services.deliveries.endpoints_due(later, 10)) == 2


def test_a_tick_without_a_broker_leaves_everything_due(
    services: Services, make_deliveries: MakeDeliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.deliveries.insert_many(make_deliveries(2))
    monkeypatch.setattr(services.broker, "_closed_until", float("inf"))
    with pytest.raises(Exception, match="BrokerUnavailable"):
        tick(services)
    assert services.deliveries.endpoints_due(clock.now(), 10) == [("harbour", "main")]


def test_the_operators_ceiling_holds_over_an_endpoints_deadline(services: Services) -> None:
    found = EndpointRuns(services).find("harbour", "main")
    assert found is not None
    assert found[0].deadline_seconds == min(15.0, services.settings.webhook_deadline_seconds)


def test_an_endpoint_that_hangs_holds_up_no_other(
    services: Services, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries
) -> None:
    with RawServer(silence) as hanging:
        slow = make_endpoint(hanging.url, id=new_endpoint_id(), deadline_seconds=30.0)
        services.endpoints.insert(slow, created_at=clock.now())
        services.deliveries.insert_many(make_deliveries(20, endpoint_id=slow.id) + make_deliveries(20))
        deliver_endpoint("harbour", slow.id)
        wait_until(lambda: bool(hanging.requests))
        deliver_endpoint("harbour", "main")
        wait_until(lambda: services.deliveries.counts_by_state()[DeliveryState.DELIVERED] == 20)


def test_a_brand_hears_of_an_endpoint_that_is_gone_over_its_others(
    services: Services, server: RawServer, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries
) -> None:
    with RawServer(answer("410 Gone")) as gone:
        endpoint = make_endpoint(gone.url, id=new_endpoint_id())
        services.endpoints.insert(endpoint, created_at=clock.now())
        services.deliveries.insert_many(make_deliveries(3, endpoint_id=endpoint.id))
        for _ in range(3):
            services.deliveries.turns.pause("harbour", endpoint.id, until=clock.now())
            run(services, endpoint.id)
        assert len(gone.requests) <= endpoint.max_in_flight
    run(services)
    told = [orjson.loads(request.body) for request in server.requests]
    assert [(one["type"], one["data"]["endpoint_id"], one["data"]["reason"]) for one in told] == [
        ("endpoint.disabled", endpoint.id, "gone")
    ]


def test_what_no_secret_can_sign_waits_for_one(
    services: Services, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries
) -> None:
    expired = Secret(bytes(32), "sec_1", clock.now() - timedelta(days=2), clock.now() - timedelta(days=1))
    endpoint = make_endpoint(
        "", id=new_endpoint_id(), secrets=(expired,), transport=Transport.QUEUE, queue="amqps://u:p@q.example/?queue=q"
    )
    services.endpoints.insert(endpoint, created_at=clock.now())
    services.deliveries.insert_many(make_deliveries(1, endpoint_id=endpoint.id))
    run(services, endpoint.id)
    (record,) = services.deliveries.list_for_brand("harbour", limit=9)
    assert (record.delivery.state, record.log[-1].outcome) == (DeliveryState.PENDING, "no_secret")


def test_nothing_is_signed_while_our_clock_is_wrong(
    services: Services, server: RawServer, make_deliveries: MakeDeliveries
) -> None:
    services.deliveries.insert_many(make_deliveries(1))
    truth = services.clock_skew
    services.clock_skew = ClockSkew({"mongodb": lambda: clock.now() - timedelta(seconds=121)})
    assert not run(services)
    assert server.connections == 0
    services.clock_skew = truth
    run(services)
    assert len(server.requests) == 1
