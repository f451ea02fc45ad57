"""`/healthz` and `/readyz` on real stores: what is wrong is said by name, in time, and without secrets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from pymongo.database import Database

from app.lib import clock
from app.services import Services, build_services
from app.web import health
from config.settings import Settings, load_settings
from tests.integration.ops.conftest import OwnBroker

BRANDS = "version: 1\nbrands:\n  - {id: alder, name: Alder, tracking_hosts: [t.alder.example]}\n"
Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def settings(own_environment: dict[str, str], tmp_path: Path, database: Database[dict[str, Any]]) -> Settings:
    brands = tmp_path / "brands.yaml"
    brands.write_text(BRANDS, encoding="utf-8")
    return load_settings({**own_environment, "TELLTALE_BRANDS_FILE": str(brands)})


@pytest.fixture
def ask(settings: Settings) -> Iterator[Ask]:
    """Ask a fresh copy with these settings; its shipper has just reported unless told otherwise."""
    made: list[Services] = []

    def ask(path: str = "/readyz", *, shipper: dict[str, float] | None = None, **changed: Any) -> tuple[int, Any]:
        services = build_services(replace(settings, **changed), role="web")
        made.append(services)
        if shipper is not None:
            _report(services.settings, **shipper)
        app = Flask("telltale", static_folder=None)
        health.register(app, services)
        answer = app.test_client().get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.status_code, json.loads(answer.data)

    yield ask
    for services in made:
        services.close()


def _report(settings: Settings, **changed: float) -> None:
    settings.shipper_dir.mkdir(parents=True, exist_ok=True)
    status = dict.fromkeys(("behind_bytes", "oldest_unshipped_seconds", "in_flight", "segments", "reshipped"), 0)
    report = {"at": clock.now_ms() / 1000, **status, **changed}
    (settings.shipper_dir / "status.json").write_text(json.dumps(report), encoding="utf-8")


def _wrong(body: dict[str, Any]) -> set[str]:
    return {name for name, found in body["checks"].items() if not found["ok"]}


def test_everything_works_and_says_so(ask: Ask) -> None:
    status, body = ask(shipper={})
    assert (status, _wrong(body), body["ready"]) == (200, set(), True)
    assert set(body["checks"]) == {"journal", "shipper", "brands", "redis", "cache", "mongo", "broker"}


def test_a_dead_redis_is_named_and_the_process_lives_on(ask: Ask, own_broker: OwnBroker) -> None:
    own_broker.kill()
    status, body = ask(shipper={})
    assert (status, _wrong(body)) == (503, {"redis", "broker"})
    assert ask("/healthz") == (200, {"status": "ok"})


def test_stores_that_do_not_answer_cost_two_seconds_at_most(ask: Ask, own_broker: OwnBroker) -> None:
    with own_broker.stalled():
        began = time.monotonic()
        status, body = ask(
            shipper={}, cache_url=own_broker.url, mongo_url="mongodb://10.255.255.1/?directConnection=true"
        )
        took = time.monotonic() - began
    assert (status, _wrong(body)) == (503, {"redis", "cache", "mongo", "broker"})
    assert took < health.TOTAL_SECONDS + 1


def test_without_its_cache_a_copy_is_ready(ask: Ask) -> None:
    status, body = ask(shipper={}, cache_url="redis://127.0.0.1:1/0")
    assert (status, _wrong(body)) == (200, {"cache"})


def test_a_redis_that_evicts_keys_is_not_fit_for_numbers(ask: Ask, own_broker: OwnBroker) -> None:
    with redis.Redis.from_url(own_broker.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    status, body = ask(shipper={})
    assert (status, _wrong(body)) == (503, {"redis"})
    assert "noeviction" in body["checks"]["redis"]["detail"]


@pytest.mark.parametrize(
    ("shipper", "detail"),
    [
        (None, "never reported"),
        ({"at": 1.0}, "has not reported for"),
        ({"oldest_unshipped_seconds": 45.0}, "is 45 s behind"),
    ],
)
def test_a_shipper_that_is_silent_or_behind_is_named(ask: Ask, shipper: dict[str, float] | None, detail: str) -> None:
    status, body = ask(shipper=shipper)
    assert (status, _wrong(body)) == (503, {"shipper"})
    assert detail in body["checks"]["shipper"]["detail"]


def test_a_disk_that_fills_turns_red_at_four_times_where_opens_are_dropped(ask: Ask, settings: Settings) -> None:
    settings.journal_dir.mkdir(parents=True)
    free = health.free_bytes(settings.journal_dir)
    assert _wrong(ask(shipper={}, journal_low_bytes=free // 3)[1]) == {"journal"}
    assert _wrong(ask(shipper={}, journal_low_bytes=free // 8)[1]) == set()


def test_a_broken_brands_file_is_said_and_the_last_good_one_serves(settings: Settings) -> None:
    services = build_services(settings, role="web")
    assert services.brands.all()
    settings.brands_file.write_text("version: 1\nbrands: [{id: 7}]\n", encoding="utf-8")
    until = time.monotonic() + 10
    while services.brands.last_error is None and time.monotonic() < until:
        time.sleep(0.05)
    found = health.check_all(services, ["brands"])["brands"]
    assert not found.ok
    assert "last good one is in use" in found.detail
    assert not health.CHECKS["brands"].needed


def test_no_answer_shows_an_address_or_a_password(ask: Ask, own_broker: OwnBroker) -> None:
    url = own_broker.url.replace("redis://", "redis://user:geheim@")
    mongo = "mongodb://user:geheim@127.0.0.1:1/?directConnection=true"
    _, body = ask(shipper={}, redis_url=url, broker_url=url, cache_url=url, mongo_url=mongo)
    assert {"redis", "broker", "mongo"} <= _wrong(body)
    text = json.dumps(body)
    assert "geheim" not in text
    assert "127.0.0.1" not in text


def test_a_load_balancer_asks_for_what_the_front_needs_only(ask: Ask, own_broker: OwnBroker) -> None:
    own_broker.kill()
    status, body = ask("/readyz?check=journal&check=brands")
    assert (status, set(body["checks"])) == (200, {"journal", "brands"})
    assert ask("/readyz?check=no-such-check")[0] == 400
