"""The tasks that beat calls, on real stores: what they do, and that doing it twice changes nothing."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from pymongo.database import Database

import tasks.base
from app.lib import clock, ids
from app.models.event import FIRST, Event, EventKind, Judgement, Verdict
from app.services import Services, build_services
from app.storage.batches import CountKey
from app.storage.indexes import create_indexes
from config.queues import TaskName
from config.settings import load_settings
from tasks import maintenance
from tasks.base import TaskFailed, first_this_tick
from tests.integration.ops.conftest import Celery, OwnBroker, eventually

BRANDS = """
version: 1
brands:
  - {id: alder, name: Alder, tracking_hosts: [t.alder.example], retention_days: 10}
  - {id: birch, name: Birch, tracking_hosts: [t.birch.example], retention_days: 100}
"""
KEY = CountKey("alder", "spring", "2026-01-01", "clicked", "human", True, 0)


@pytest.fixture
def services(
    own_environment: dict[str, str],
    tmp_path: Path,
    database: Database[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Services]:
    """What the tasks of this process work with."""
    brands = tmp_path / "brands.yaml"
    brands.write_text(BRANDS, encoding="utf-8")
    create_indexes(database)
    found = build_services(load_settings({**own_environment, "TELLTALE_BRANDS_FILE": str(brands)}), role="worker")
    monkeypatch.setattr(tasks.base, "_services", (os.getpid(), found))
    yield found
    found.close()


def _next_tick(services: Services, name: TaskName) -> None:
    """As if a period had passed."""
    services.redis.delete(f"telltale:tick:{name.value}")


def _write_status(services: Services, **changed: float) -> None:
    folder = services.settings.shipper_dir
    folder.mkdir(parents=True, exist_ok=True)
    status = {
        "at": clock.now_ms() / 1000,
        "behind_bytes": 0,
        "oldest_unshipped_seconds": 0.0,
        "in_flight": 0,
        "segments": 1,
        "reshipped": 0,
    }
    (folder / "status.json").write_text(json.dumps({**status, **changed}), encoding="utf-8")


def _events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "tasks.maintenance"]


def test_one_tick_is_run_once_and_the_next_one_again(services: Services) -> None:
    assert first_this_tick(TaskName.COMPACT_COUNTS)
    assert not first_this_tick(TaskName.COMPACT_COUNTS)
    assert first_this_tick(TaskName.CHECK_NUMBERS)
    assert 0 < services.redis.pttl(f"telltale:tick:{TaskName.COMPACT_COUNTS.value}") <= 3000
    _next_tick(services, TaskName.COMPACT_COUNTS)
    assert first_this_tick(TaskName.COMPACT_COUNTS)


def test_without_redis_a_tick_is_run_rather_than_missed(services: Services, own_broker: OwnBroker) -> None:
    own_broker.kill()
    assert first_this_tick(TaskName.COMPACT_COUNTS)


def test_counts_of_all_batches_reach_the_rollups_and_stay_right(services: Services) -> None:
    for number in range(1203):
        services.batches.mark(f"b{number}", {KEY: 2}, records=2, dropped={})
    maintenance.compact_counts()
    assert services.batches.waiting()[0] == 0
    _next_tick(services, TaskName.COMPACT_COUNTS)
    maintenance.compact_counts()
    assert services.batches.figures("alder") == {KEY: 2406}


def test_a_host_without_a_shipper_says_nothing(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    maintenance.check_journal()
    assert _events(caplog) == []


@pytest.mark.parametrize(
    ("changed", "warned"),
    [
        ({}, []),
        ({"oldest_unshipped_seconds": 29.0}, []),
        ({"oldest_unshipped_seconds": 31.0}, ["shipper_behind"]),
        ({"at": 0.0}, ["shipper_behind"]),
    ],
)
def test_a_shipper_that_is_behind_or_silent_is_told(
    services: Services, caplog: pytest.LogCaptureFixture, changed: dict[str, float], warned: list[str]
) -> None:
    _write_status(services, **changed)
    maintenance.check_journal()
    assert _events(caplog) == warned


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"at": null}', "\x00" * 100_000])
def test_a_broken_status_is_told_and_breaks_nothing(
    services: Services, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    _write_status(services)
    (services.settings.shipper_dir / "status.json").write_text(text, encoding="utf-8")
    maintenance.check_journal()
    assert _events(caplog) == ["shipper_status_unreadable"]


def test_numbers_that_are_behind_are_told_as_an_error(
    services: Services, database: Database[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    start = services.numbers.reserve(10)
    database["blocks"].insert_one({"_id": start, "end": start + 5_000_000})
    maintenance.check_numbers()
    assert _events(caplog) == ["numbers_were_behind"]
    assert caplog.records[-1].levelno == logging.ERROR
    _next_tick(services, TaskName.CHECK_NUMBERS)
    caplog.clear()
    maintenance.check_numbers()
    assert _events(caplog) == []


def test_events_are_deleted_after_their_own_brands_time(
    services: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(maintenance, "_EXPIRE_CHUNK", 3)
    for brand, ages in (("alder", [20] * 8 + [5] * 2), ("birch", [20] * 4 + [101])):
        services.events.insert([_event(brand, age) for age in ages], "batch")
    maintenance.expire_data()
    assert [_left(services, brand) for brand in ("alder", "birch")] == [2, 4]
    told = {
        (record.fields["brand"], record.fields["what"]): record.fields["number"]
        for record in caplog.records
        if hasattr(record, "fields")
    }
    assert told == {("alder", "clicked"): 8, ("birch", "clicked"): 1}


def test_a_tick_that_meets_a_dead_store_fails_and_is_not_tried_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = replace(services.settings, mongo_url="mongodb://127.0.0.1:1/?directConnection=true")
    without = build_services(dead, role="web")
    monkeypatch.setattr(tasks.base, "_services", (os.getpid(), without))
    with pytest.raises(TaskFailed, match="StoreUnavailable"):
        maintenance.check_numbers()
    without.close()


@pytest.mark.slow
def test_two_beats_at_once_and_a_restart_of_redis_leave_the_figures_right(
    services: Services,
    own_environment: dict[str, str],
    start_celery: Callable[..., Celery],
    own_broker: OwnBroker,
) -> None:
    environment = {**own_environment, "TELLTALE_BRANDS_FILE": str(services.settings.brands_file)}
    worker = start_celery("worker", "-Q", "maintenance,webhooks", "-c", "2", environment=environment)
    beats = [start_celery("beat", environment=environment) for _ in range(2)]
    for number in range(200):
        services.batches.mark(f"first-{number}", {KEY: 1}, records=1, dropped={})
    assert eventually(lambda: services.batches.waiting()[0] == 0), worker.output()
    own_broker.kill()
    for number in range(200):
        services.batches.mark(f"second-{number}", {KEY: 1}, records=1, dropped={})
    own_broker.restart()
    assert eventually(lambda: services.batches.waiting()[0] == 0), worker.output() + beats[0].output()
    assert services.batches.figures("alder") == {KEY: 400}
    assert [beat.process.poll() for beat in beats] == [None, None]
    # Ticks do not pile up although two give them.
    with redis.Redis.from_url(own_broker.url) as client:
        assert eventually(lambda: client.llen("telltale:q:maintenance") == 0)


def _event(brand: str, age_days: int) -> Event:
    at_ms = int((clock.now() - timedelta(days=age_days)).timestamp() * 1000)
    event_id = ids.new_id(at_ms)
    return Event(
        id=event_id,
        kind=EventKind.CLICKED,
        brand_id=brand,
        message=int.from_bytes(event_id[-5:], "big"),
        block=1,
        slot=4,
        at_ms=at_ms,
        recorded_ms=at_ms,
        judgement=Judgement(Verdict.HUMAN, True, ()),
        rank=FIRST,
        rules_version="test",
    )


def _left(services: Services, brand: str) -> int:
    return len(services.events.page(brand, after=None, before_ms=clock.now_ms() + 1000, limit=100))
