"""`flask webhooks …` on real stores; its listener is in the unit tests of commands."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from pymongo.database import Database

from app import commands
from app.lib import clock, ids
from app.models.delivery import DeliveryState
from app.outbound import EndpointRuns
from app.services import Services, build_services
from app.storage.replays import Replays
from app.webhooks.listener import Listening, make_server
from app.webhooks.probe import test_delivery as make_delivery
from config.settings import load_settings

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
Run = Callable[..., Result]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def services(
    *,
    environment: dict[str, str],
    tmp_path: Path,
    database: Database[dict[str, Any]],
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Services]:
    """A brand whose endpoint is the listener of the command line."""
    server = make_server("127.0.0.1", 0, Listening([bytes(range(32))], 204, said.append))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("ALDER_SECRET", SECRET)
    endpoint = {"id": "main", "url": f"http://127.0.0.1:{server.server_port}/in", "secrets": ["env:ALDER_SECRET"]}
    brand = {"id": "alder", "name": "Alder", "tracking_hosts": ["t.alder.example"], "endpoints": [endpoint]}
    brands = tmp_path / "brands.yaml"
    brands.write_text(json.dumps({"version": 1, "brands": [brand]}), encoding="utf-8")
    found = build_services(load_settings({**environment, "TELLTALE_BRANDS_FILE": str(brands)}), role="cli")
    yield found
    found.close()
    server.shutdown()
    server.server_close()


@pytest.fixture
def run(services: Services) -> Run:
    app = Flask("command line")
    app.extensions["telltale"] = services
    commands.register(app)
    return lambda *arguments: app.test_cli_runner().invoke(args=["webhooks", *arguments])


def park(services: Services) -> str:
    """A delivery that was parked; answers its event's id."""
    brand = services.brands.by_id("alder")
    assert brand is not None
    event_id = ids.event_id_text(ids.new_id())
    made = replace(make_delivery(brand.endpoints[0], event_id, clock.now()), state=DeliveryState.PARKED)
    services.deliveries.insert_many([made])
    return event_id


async def deliver_while(wanted: Callable[[], bool], services: Services) -> None:
    runs = EndpointRuns(services)
    try:
        while wanted():
            await runs.run(("alder", "main"))
    finally:
        await runs.close()


def test_a_test_event_goes_through_everything_and_verifies(services: Services, run: Run, said: list[str]) -> None:
    done: list[Result] = []
    sending = threading.Thread(target=lambda: done.append(run("send-test", "alder")))
    sending.start()
    asyncio.run(deliver_while(sending.is_alive, services))
    assert done[0].exit_code == 0, done[0].output
    assert done[0].output.startswith("main: delivered (delivered after ")
    assert said[0].endswith("verified")
    assert said[1].startswith("  endpoint.test  evt_")


def test_a_test_event_that_nobody_sends_is_said_to_wait(services: Services, run: Run) -> None:
    done = run("send-test", "alder", "main", "--wait", "0")
    assert done.exit_code == 1
    assert "no attempt yet; are the workers running?" in done.output
    assert services.deliveries.has_due("alder", "main", now=clock.now())
    assert run("send-test", "birch").exit_code == run("send-test", "alder", "other").exit_code == 2


def test_an_endpoint_is_disabled_enabled_and_recovered(services: Services, run: Run) -> None:
    assert run("endpoints").output.split() == ["alder", "main", "http", "active"]
    assert run("disable", "alder", "main").output == "main is disabled\n"
    assert "disabled (owner)" in run("endpoints", "alder").output
    assert "there is no endpoint that is on" in run("send-test", "alder").output
    park(services)
    enabled = run("enable", "alder", "main", "--recover")
    assert enabled.exit_code == 0
    assert ": 1 deliveries (running)\nmain is enabled\n" in enabled.output
    assert run("enable", "alder", "main").exit_code == 1
    (replay,) = Replays(services.database).list_for_brand("alder")
    assert (replay.selection.endpoint_id, replay.total) == ("main", 1)


def test_a_replay_is_counted_before_it_is_begun(services: Services, run: Run) -> None:
    event_id, today = park(services), clock.now().date().isoformat()
    assert run("replay", "alder", "--since", today, "--dry-run").output == "1 deliveries would be sent again\n"
    assert run("replay", "alder", "--since", today, "--state", "dead", "--dry-run").output.startswith("0 ")
    assert run("replay", "alder").exit_code == 2
    assert Replays(services.database).list_for_brand("alder") == []
    assert ": 1 deliveries (running)" in run("replay", "alder", "--event", event_id).output
    (replay,) = Replays(services.database).list_for_brand("alder")
    assert replay.selection.event_ids == (event_id,)
