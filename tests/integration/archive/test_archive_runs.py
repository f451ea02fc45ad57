"""The task and the commands on real stores, from a brands file to the bucket and back."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import Result
from flask import Flask
from pymongo.database import Database

import tasks.base
from app.archive.bucket import Bucket
from app.archive.hours import HOUR_MS, hour_of, hour_text
from app.commands.archive import group
from app.event_json import events_json
from app.lib import clock
from app.models.archive import ArchivePlace
from app.models.event import Event, EventKind
from app.services import Services, build_services
from app.storage.archive_state import ArchiveState
from app.storage.indexes import create_indexes
from config.queues import TaskName
from config.settings import load_settings
from tasks.archive import archive_hours
from tests.integration.archive.conftest import GUARD
from tests.unit.archive.archived_events import HOUR, event_at

Run = Callable[..., Result]
NOW_HOUR = hour_of(clock.now_ms())
HOURS_AGO = [NOW_HOUR - number * HOUR_MS for number in (4, 3)]


def _brand(brand_id: str, place: ArchivePlace) -> dict[str, Any]:
    return {
        "id": brand_id,
        "name": brand_id.title(),
        "tracking_hosts": [f"t.{brand_id}.example"],
        "archive": {
            "bucket": place.bucket,
            "region": place.region,
            "prefix": place.prefix,
            "endpoint_url": place.endpoint_url,
            "access_key_id": "file:archive-id",
            "secret_access_key": "file:archive-key",
        },
    }


@pytest.fixture
def services(
    *,
    environment: dict[str, str],
    tmp_path: Path,
    database: Database[dict[str, Any]],
    place: ArchivePlace,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Services]:
    """`alder` and `birch` share a bucket; `cedar` has one that does not exist."""
    secrets = tmp_path / "state" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "archive-id").write_text("AKIDALDER\n")
    (secrets / "archive-key").write_text("hush-hush\n")
    file = tmp_path / "brands.yaml"
    brands = [_brand("alder", place), _brand("birch", place), _brand("cedar", replace(place, bucket="nobodys"))]
    file.write_text(json.dumps({"version": 1, "brands": brands}))
    create_indexes(database)
    found = build_services(load_settings({**environment, "TELLTALE_BRANDS_FILE": str(file)}), role="worker")
    monkeypatch.setattr(tasks.base, "_services", (os.getpid(), found))
    yield found
    found.close()


@pytest.fixture
def run(services: Services) -> Run:
    app = Flask("test")
    app.extensions["telltale"] = services
    app.cli.add_command(group)
    runner = app.test_cli_runner()
    return lambda *args: runner.invoke(args=["archive", *args])


def store(services: Services, *changes: dict[str, Any]) -> list[Event]:
    """An open of a message of its own for each."""
    events = [event_at(HOURS_AGO[0] - HOUR, message=number, **change) for number, change in enumerate(changes, start=1)]
    return services.events.insert(events, "batch")


def in_bucket(place: ArchivePlace) -> dict[str, bytes]:
    bucket = Bucket(place, GUARD)
    return {key: bucket.get(key) or b"" for key, _ in bucket.sizes("")}


def next_tick(services: Services) -> None:
    services.redis.delete(f"telltale:tick:{TaskName.ARCHIVE_HOUR.value}")
    archive_hours()


def test_every_settled_hour_of_every_brand_is_archived_as_the_api_shows_it(
    services: Services, place: ArchivePlace
) -> None:
    late = {"recorded_ms": HOURS_AGO[1] + 5}
    events = store(services, {}, {"kind": EventKind.CLICKED}, late, {"brand_id": "birch"}, {"brand_id": "cedar"})
    next_tick(services)
    found = in_bucket(place)
    opened = [gzip.decompress(raw) for key, raw in found.items() if "brand=alder" in key and key.endswith(".gz")]
    shown = [orjson.loads(line) for content in opened for line in content.splitlines()]
    for line in shown:
        del line["restore"]
    key = {event["id"]: event for event in shown}
    assert key == {event["id"]: event for event in events_json(events[:3], services)}
    state = ArchiveState(services.database)
    # The last hour is settled ten minutes after its end.
    archived = [hour.hour for hour in state.archived("alder", 0, NOW_HOUR)]
    assert archived[:3] == [*HOURS_AGO, HOURS_AGO[1] + HOUR_MS]
    assert [hour.events for hour in state.archived("alder", 0, NOW_HOUR)][:3] == [2, 1, 0]
    assert sum(hour.events for hour in state.archived("birch", 0, NOW_HOUR)) == 1
    before = found
    next_tick(services)
    assert in_bucket(place) == before


def test_a_brand_whose_bucket_fails_rests_and_says_so_without_its_keys(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    store(services, {"brand_id": "cedar"})
    next_tick(services)
    state = ArchiveState(services.database)
    assert state.resting("cedar", clock.now())
    assert not state.resting("cedar", clock.now() + timedelta(minutes=16))
    (record,) = [record for record in caplog.records if record.message == "archive_rests"]
    assert record.fields["detail"] == "bucket: NoSuchBucket (404)"  # type: ignore[attr-defined]
    assert "hush" not in caplog.text
    assert "AKID" not in caplog.text


def test_the_commands_write_verify_and_restore(services: Services, run: Run, place: ArchivePlace) -> None:
    store(services, {}, {}, {"recorded_ms": HOURS_AGO[1]})
    assert "hours due, the first " + hour_text(HOURS_AGO[0]) in run("status", "alder").output
    written = run("run", "alder")
    assert written.exit_code == 0
    assert written.output.splitlines()[:2] == [f"{hour_text(hour)}: written" for hour in HOURS_AGO]
    assert "3 events" in run("status", "alder").output
    assert run("run", "alder").output == ""
    assert run("run", "alder", "--from", hour_text(HOURS_AGO[0])).output.count("written") >= 3
    verified = run("verify", "alder")
    assert (verified.exit_code, verified.output.split(" looked at, ")[1]) == (0, "0 faults\n")

    services.database["events"].delete_many({"m": 2})
    assert run("verify", "alder", "--quick").exit_code == 1
    assert "alder: 3 events in the archive, 1 would be restored" in run("restore", "alder", "--dry-run").output
    assert "alder: 3 events in the archive, 1 restored" in run("restore", "alder").output
    assert run("verify", "alder").exit_code == 0


def test_an_hour_is_asked_for_with_its_neighbours_left_out(services: Services, run: Run) -> None:
    store(services, {}, {"recorded_ms": HOURS_AGO[1]})
    run("run", "alder")
    only = run("restore", "alder", "--dry-run", "--from", hour_text(HOURS_AGO[1]), "--to", hour_text(HOURS_AGO[1]))
    assert only.output.splitlines()[-1] == "alder: 1 events in the archive, 0 would be restored"


@pytest.mark.parametrize("brand_id", ["cedar", "nobody"])
def test_what_cannot_work_is_said_in_a_sentence(services: Services, run: Run, brand_id: str) -> None:
    store(services, {"brand_id": "cedar"})
    failed = run("run", brand_id)
    assert failed.exit_code != 0
    assert "hush" not in failed.output
    assert "NoSuchBucket" in failed.output or "there is no brand nobody" in failed.output
