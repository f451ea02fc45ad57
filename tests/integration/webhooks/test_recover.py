"""From 410 to everything delivered after all: disabled, parked, enabled over the API, replayed by the task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from pymongo.database import Database
from standardwebhooks import Webhook

from app.factory import create_app
from app.lib import clock
from app.models.api_key import Scope
from app.models.delivery import Delivery, DeliveryState
from app.outbound import EndpointRuns
from app.services import Services, build_services
from config.settings import load_settings
from tasks.replays import replay
from tests.integration.webhooks.raw_server import RawServer, answer

MakeDeliveries = Callable[..., list[Delivery]]
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
BRANDS = """
version: 1
brands:
  - id: harbour
    name: Harbour Jobs
    tracking_hosts: [t.harbour.example]
"""


@pytest.fixture
def services(
    environment: dict[str, str], tmp_path: Path, database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Services]:
    brands = tmp_path / "brands.yaml"
    brands.write_text(BRANDS, encoding="utf-8")
    found = build_services(load_settings({**environment, "TELLTALE_BRANDS_FILE": str(brands)}), role="worker")
    monkeypatch.setattr("tasks.replays.services", lambda: found)
    yield found
    found.close()


@pytest.fixture
def client(services: Services) -> FlaskClient:
    client = create_app(services=services).test_client()
    token = services.api_keys.create("harbour", frozenset(Scope), "test")[1]
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def run(services: Services, endpoint_id: str) -> None:
    async def once() -> None:
        runs = EndpointRuns(services)
        try:
            await runs.run(("harbour", endpoint_id))
        finally:
            await runs.close()

    asyncio.run(once())


def make(client: FlaskClient, url: str) -> str:
    made = client.post("/v1/endpoints", json={"url": url, "secret": SECRET})
    assert made.status_code == 201, made.text
    return str(made.get_json()["id"])


def test_what_a_gone_endpoint_missed_comes_with_the_same_ids_and_bytes_once_it_is_back(
    services: Services, client: FlaskClient, make_deliveries: MakeDeliveries
) -> None:
    with RawServer(answer("410 Gone"), answer()) as server:
        endpoint_id = make(client, server.url)
        made = make_deliveries(3, endpoint_id=endpoint_id)
        services.deliveries.insert_many(made[:1])
        run(services, endpoint_id)
        services.deliveries.insert_many(made[1:])
        services.deliveries.turns.pause("harbour", endpoint_id, until=clock.now())
        run(services, endpoint_id)
        shown = client.get(f"/v1/endpoints/{endpoint_id}").get_json()
        assert (shown["state"], shown["disabled_reason"], len(server.requests)) == ("disabled", "gone", 1)
        assert services.deliveries.counts_by_state()[DeliveryState.PARKED] == 3

        enabled = client.patch(f"/v1/endpoints/{endpoint_id}", json={"disabled": False, "recover": True})
        assert enabled.get_json()["state"] == "active"
        replay()
        run(services, endpoint_id)
        assert services.deliveries.counts_by_state()[DeliveryState.DELIVERED] == 3
        progress = client.get(f"/v1/replays/{enabled.get_json()['replay_id']}").get_json()
        assert (progress["state"], progress["total"], progress["done"]) == ("done", 3, 3)
        again = [(request.headers["webhook-id"], request.body) for request in server.requests[1:]]
        assert sorted(again) == [(one.items[0].event_id, one.items[0].body) for one in made]
        for request in server.requests:
            Webhook(SECRET).verify(request.body, dict(request.headers))


def test_a_replay_keeps_behind_what_is_new(
    services: Services, client: FlaskClient, make_deliveries: MakeDeliveries
) -> None:
    with RawServer(answer()) as server:
        endpoint_id = make(client, server.url)
        old = make_deliveries(2, endpoint_id=endpoint_id)
        services.deliveries.insert_many(old)
        run(services, endpoint_id)
        since = clock.rfc3339(clock.now() - timedelta(hours=1))
        assert client.post("/v1/replays", json={"since": since, "states": ["delivered"]}).get_json()["total"] == 2
        new = make_deliveries(1, endpoint_id=endpoint_id, due_at=clock.now() - timedelta(seconds=1))
        services.deliveries.insert_many(new)
        replay()
        services.deliveries.turns.pause("harbour", endpoint_id, until=clock.now())
        claimed = services.deliveries.claim(
            "harbour", endpoint_id, now=clock.now(), lease_seconds=30, limit=10, token="t"
        )
        assert [one.id for one in claimed] == [one.id for one in [*new, *old]]
