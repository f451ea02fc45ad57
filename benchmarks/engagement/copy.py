"""A whole copy of Telltale for the kit: nginx, uWSGI, shipper, ingest worker, MongoDB, Valkey, brands of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pymongo.collection import Collection

from app.models.api_key import Scope
from app.services import build_services
from app.storage.client import Document
from app.storage.indexes import create_indexes
from benchmarks.engagement.scenario import Scenario
from benchmarks.engagement.uwsgi import Uwsgi
from benchmarks.sides import Side, application_environment
from config.queues import Queue
from config.settings import load_settings
from local.log_end import log_end
from local.servers import start_mongod, start_redis

_READY_SECONDS = 60.0
_SETTLE_SECONDS = 2.0
_WEB_PROCESSES = 2
_WORKERS = 2


class Copy:
    """Everything started; ended through `stack`.

    Args:
        folder: its own; short, because a socket lies in it.
        scenarios: each policy among them makes a brand.
    """

    def __init__(self, stack: contextlib.ExitStack, folder: Path, scenarios: Sequence[Scenario]) -> None:
        mongod = start_mongod(folder / "mongod")
        stack.callback(mongod.stop)
        valkey = start_redis(folder / "valkey")
        stack.callback(valkey.stop)
        self.brands = make_brands(scenarios)
        environment = {
            **application_environment(folder, list(self.brands.values()), mongod, valkey),
            "TELLTALE_WEB_PROCESSES": str(_WEB_PROCESSES),
            # Ours is the proxy in front of nginx, which says where clients are.
            "TELLTALE_TRUSTED_PROXIES": "127.0.0.0/8",
        }
        state = {"TELLTALE_STATE_DIR": str(folder / "state")}
        self.services = build_services(load_settings({**environment, **state}), role="cli")
        stack.callback(self.services.close)
        create_indexes(self.services.database)
        self.keys = {brand: self.services.api_keys.create(brand, frozenset(Scope), "kit")[1] for brand in self.brands}
        self.side = Side("app.wsgi:application", folder / "state", environment)
        stack.callback(self.side.stop)
        self.uwsgi = Uwsgi(folder / "state" / "uwsgi.sock")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TELLTALE_")}
        self._environment = {**inherited, **environment, **state}
        queues = ",".join(queue.value for queue in Queue)
        worker = ("-m", "celery", "-A", "tasks.celery_app", "worker", "-Q", queues, "-c", str(_WORKERS), "-l", "INFO")
        self._start(stack, worker, folder / "worker.log")
        self._start(stack, ("-m", "app.shipper"), folder / "shipper.log")
        self.side.wait_until_ready("/healthz", "localhost")
        _await_ready(folder / "worker.log")

    def brand_of(self, scenario: Scenario) -> tuple[str, str]:
        """Id and tracking host of the brand with the scenario's policy."""
        brand_id = brand_name(scenario.bots)
        return brand_id, self.brands[brand_id]["tracking_hosts"][0]

    def wait_until_stored(self, records: int, seconds: float = 120.0) -> None:
        """Wait for so many journal records behind markers, and until nothing more is corrected.

        Raises:
            SystemExit: they did not come.
        """
        batches, events = self.services.database["batches"], self.services.database["events"]
        deadline = time.monotonic() + seconds
        while (stored := _total(batches)) < records:
            if time.monotonic() > deadline:
                raise SystemExit(f"of {records:,} answered requests {stored:,} arrived in MongoDB")
            time.sleep(0.05)
        before, quiet_since = -1, time.monotonic()
        while time.monotonic() < min(deadline, quiet_since + _SETTLE_SECONDS):
            corrections = events.count_documents({"k": 5})
            if corrections != before:
                before, quiet_since = corrections, time.monotonic()
            time.sleep(0.1)

    def _start(self, stack: contextlib.ExitStack, arguments: Sequence[str], log: Path) -> None:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                env=self._environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        stack.callback(_stop, process)


def make_brands(scenarios: Sequence[Scenario]) -> dict[str, dict[str, Any]]:
    """A brand for every policy."""
    made: dict[str, dict[str, Any]] = {}
    for scenario in scenarios:
        name = brand_name(scenario.bots)
        made[name] = {
            "id": name,
            "name": "Test kit",
            "channels": ["email", "sms"],
            "tracking_hosts": [f"{name}.example"],
            "page": {"title": "Test kit"},
            **({"bots": dict(scenario.bots)} if scenario.bots else {}),
        }
    return made


def brand_name(bots: Mapping[str, Any]) -> str:
    if not bots:
        return "kit"
    return "kit-" + "".join(char if char.isalnum() else "-" for char in json.dumps(bots, sort_keys=True).lower()).strip(
        "-"
    )


def _total(batches: Collection[Document]) -> int:
    rows = batches.aggregate([{"$group": {"_id": None, "n": {"$sum": "$records"}}}])
    return sum(int(row["n"]) for row in rows)


def _await_ready(log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while b"ready" not in log.read_bytes():
        if time.monotonic() > deadline:
            raise SystemExit(f"the worker did not start:\n{log_end(log)}")
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(30)
