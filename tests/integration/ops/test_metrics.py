"""`/metrics`: hits of all processes, figures of the copy, sources that fail, and the token."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from pymongo.database import Database

from app.services import Services, build_services
from app.storage.batches import CountKey
from app.storage.indexes import create_indexes
from app.web import metrics
from config.queues import TaskName
from config.settings import load_settings
from tests.integration.ops.conftest import ROOT, OwnBroker
from tests.integration.ops.test_health import BRANDS, _report

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def services(own_environment: dict[str, str], tmp_path: Path, database: Database[dict[str, Any]]) -> Iterator[Services]:
    brands = tmp_path / "brands.yaml"
    brands.write_text(BRANDS, encoding="utf-8")
    create_indexes(database)
    found = build_services(load_settings({**own_environment, "TELLTALE_BRANDS_FILE": str(brands)}), role="web")
    yield found
    found.close()


def _samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _scrape(services: Services) -> Samples:
    return _samples(metrics.scrape(services).decode())


def test_hits_are_counted_by_kind_and_outcome(services: Services) -> None:
    key = ("telltale_hits_total", (("kind", "click"), ("outcome", "recorded")))
    before = _scrape(services)[key]
    metrics.count_hit("click", "recorded")
    metrics.hit_counter("click", "recorded").inc()
    assert _scrape(services)[key] == before + 2


def test_the_figures_of_the_copy_are_read_at_the_scrape(services: Services) -> None:
    services.batches.mark(
        "b1", {CountKey("alder", "", "2026-01-01", "opened", "human", True, 0): 1}, records=1, dropped={}
    )
    services.broker.enqueue(TaskName.INGEST_BATCH, "b2", "sealed")
    services.dead_letters.set_aside("b1", [(0, b"{", "not_json")])
    _report(services.settings, behind_bytes=4096, oldest_unshipped_seconds=1.5, reshipped=3)
    found = _scrape(services)
    assert found["telltale_batches_waiting", ()] == 1
    assert found["telltale_queue_depth", (("queue", "ingest"),)] == 1
    assert found["telltale_queue_depth", (("queue", "webhooks"),)] == 0
    assert found["telltale_deliveries", (("state", "pending"),)] == 0
    assert found["telltale_dead_letters", ()] == 1
    assert found["telltale_journal_behind_bytes", ()] == 4096
    assert found["telltale_journal_oldest_unshipped_seconds", ()] == 1.5
    assert found["telltale_journal_reshipped_total", ()] == 3
    assert found["telltale_journal_free_bytes", ()] > 0
    assert found["telltale_brands_file_ok", ()] == 1
    assert {value for (name, _), value in found.items() if name == "telltale_scrape_errors"} == {0}


def test_a_source_that_fails_is_named_and_the_others_stand(services: Services, own_broker: OwnBroker) -> None:
    own_broker.kill()
    services.settings.shipper_dir.mkdir(parents=True)
    (services.settings.shipper_dir / "status.json").write_text("{}", encoding="utf-8")
    found = _scrape(services)
    errors = {labels[0][1] for (name, labels), value in found.items() if name == "telltale_scrape_errors" and value}
    assert errors == {"queues", "shipper"}
    assert found["telltale_batches_waiting", ()] == 0


def test_a_dead_mongodb_costs_one_deadline_and_not_one_per_figure(services: Services) -> None:
    asked: list[str] = []
    dead = replace(services.settings, mongo_url="mongodb://127.0.0.1:1/?directConnection=true")
    without = build_services(dead, role="web")
    real = metrics.SOURCES["batches"][1]
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(metrics.SOURCES, "batches", ("mongo", lambda given: asked.append("batches") or real(given)))
            patch.setitem(metrics.SOURCES, "deliveries", ("mongo", lambda given: asked.append("deliveries") or []))
            found = _scrape(without)
    finally:
        without.database.client.close()
    assert asked == ["batches"]
    errors = {labels[0][1] for (name, labels), value in found.items() if name == "telltale_scrape_errors" and value}
    assert errors == {"batches", "deliveries", "dead_letters"}


def test_the_page_asks_for_the_token_when_there_is_one(services: Services) -> None:
    services.settings = replace(services.settings, metrics_token="t0ken")
    app = Flask("telltale", static_folder=None)
    metrics.register(app, services)
    client = app.test_client()
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer t0ken"}).status_code == 200


def test_hits_of_processes_that_were_killed_are_not_lost(own_environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    environment = {"PATH": os.defpath, **own_environment, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    count = "from app.web import metrics\nfor _ in range({0}): metrics.count_hit('open', 'recorded')\n"
    kill = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    for number in (100, 23):
        ended = _python(count.format(number) + kill, environment)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
    read = (
        "from app.web import metrics\nfrom app.services import build_services\n"
        "from config.settings import load_settings\n"
        "print(metrics.scrape(build_services(load_settings(), role='web')).decode())\n"
    )
    ended = _python(read, environment)
    assert ended.returncode == 0, ended.stderr
    assert _samples(ended.stdout)["telltale_hits_total", (("kind", "open"), ("outcome", "recorded"))] == 123


def _python(program: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
