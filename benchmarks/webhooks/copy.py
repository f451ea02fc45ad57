"""A copy of Telltale for `benchmarks.webhooks`: stores, receiver, webhooks worker and beat; on demand also the front.

Workers are started with the very commands of config/supervisord.conf.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.brands import new_webhook_secret
from app.lib import ids
from app.models.block import FIRST_LINK_SLOT, Block, Channel, Link, Slot
from app.models.delivery import DeliveryState
from app.models.event import AGAIN, Event, EventKind, Judgement, Verdict
from app.models.message import Message, Recipient
from app.services import build_services
from app.storage.indexes import create_indexes
from app.webhook_outbox import WebhookOutbox
from benchmarks.receiver import Receiver
from benchmarks.sides import Side, application_environment, cpu_seconds
from config.settings import load_settings
from local.environment import REPOSITORY
from local.log_end import log_end
from local.servers import start_mongod, start_redis

SECRET_VARIABLE = "BENCH_WEBHOOK_SECRET"
_CACHE_GB = 4.0
_READY_SECONDS = 60.0
_STORED_AT_ONCE = 2000


def brand(brand_id: str, url: str, **endpoint: Any) -> dict[str, Any]:
    """A brand as brands.yaml says it, with one endpoint, which `reference` names."""
    return {
        "id": brand_id,
        "name": brand_id,
        "channels": ["email"],
        "tracking_hosts": [f"{brand_id}.example"],
        "page": {"title": brand_id},
        "endpoints": [{"id": f"{brand_id}-main", "url": url, "secrets": [f"env:{SECRET_VARIABLE}"], **endpoint}],
    }


def reference(brand_id: str) -> tuple[str, str]:
    """Brand id and endpoint id."""
    return brand_id, f"{brand_id}-main"


class Copy:
    """Everything started; ended through `stack`.

    Args:
        folder: its own; short, because a socket lies in it.
        brands: as in brands.yaml.
        front: also nginx, uWSGI, shipper and ingest worker.
        beat: from the start; else from `begin_beat` on. It has what waits delivered, woken or not.
    """

    def __init__(
        self,
        stack: contextlib.ExitStack,
        folder: Path,
        brands: Sequence[Mapping[str, Any]],
        receiver: Receiver,
        *,
        front: bool = False,
        beat: bool = True,
    ) -> None:
        folder.mkdir()
        os.environ.setdefault(SECRET_VARIABLE, new_webhook_secret())
        mongod, valkey = start_mongod(folder / "mongod", cache_gb=_CACHE_GB), start_redis(folder / "valkey")
        stack.callback(mongod.stop)
        stack.callback(valkey.stop)
        state = folder / "state"
        given = {
            **application_environment(folder, brands, mongod, valkey),
            "TELLTALE_STATE_DIR": str(state),
            "TELLTALE_PUBLIC_SCHEME": "http",
            "TELLTALE_WEB_PROCESSES": "2",
            "TELLTALE_WEBHOOK_ALLOW_HTTP": "1",
            "TELLTALE_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
        }
        self.receiver = receiver
        self.logs = folder
        self.services = build_services(load_settings(given), role="cli")
        stack.callback(self.services.close)
        self._outbox = WebhookOutbox(self.services)
        create_indexes(self.services.database)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TELLTALE_")}
        self._environment = {**inherited, **given}
        self.pids = {"mongod": mongod.pid, "valkey": valkey.pid, "receiver": receiver.pid}
        self._stack = stack
        for program in ("worker-webhooks", *(("worker-ingest", "shipper") if front else ())):
            self._start(program)
        if beat:
            self.begin_beat()
        if front:
            self.side = Side("app.wsgi:application", state, given)
            stack.callback(self.side.stop)
            self.side.wait_until_ready("/healthz", "localhost")
        for worker in (name for name in self.pids if name.startswith("worker-")):
            self._await_ready(worker)

    def mailing(self, brand_ids: Iterable[str], recipients: int) -> dict[str, Block]:
        """A mailing of each brand, stored as the API stores it."""
        return {brand_id: self._mailing(brand_id, recipients) for brand_id in brand_ids}

    def store(self, block: Block, events: int, first: int = 0) -> None:
        """Deliveries of so many opens of a mailing's recipients in turn; nobody is woken.

        Args:
            first: the number of the first recipient.
        """
        for start in range(first, first + events, _STORED_AT_ONCE):
            count = min(_STORED_AT_ONCE, first + events - start)
            made = [_opened(block, index) for index in range(start, start + count)]
            self._outbox.write(made, {block.start: block})

    def tell(self, opens: Sequence[tuple[Block, int]]) -> None:
        """One open of each of some recipients, by mailing and number: stored and woken as ingest does with a batch."""
        blocks = {block.start: block for block, _ in opens}
        self.services.wake(self._outbox.write([_opened(block, index) for block, index in opens], blocks))

    def wait_until_recorded(self, events: int, seconds: float) -> float:
        """Wait until nothing waits and the receiver has counted so many events; answers when, on perf_counter's clock.

        Raises:
            SystemExit: not in time.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            # First a number that is cheap to ask for: a look is paid by the server that is measured.
            if sum(self.receiver.tally()["events"].values()) >= events and not self.waiting():
                return time.perf_counter()
            time.sleep(0.1)
        raise SystemExit(f"{self.waiting()} deliveries still wait; the worker's log:\n{self.log('worker-webhooks')}")

    def latencies_ms(self, due: Mapping[str, float], seconds: float) -> list[float]:
        """From the moment a message's event was due until it was told, sorted.

        Args:
            due: by message id, on time.monotonic()'s clock.

        Raises:
            SystemExit: some were not told in time.
        """
        deadline = time.monotonic() + seconds
        while missing := due.keys() - (arrivals := self.receiver.tally()["arrivals"]).keys():
            if time.monotonic() > deadline:
                raise SystemExit(f"of {len(due)} events {len(missing)} were not told:\n{self.log('worker-webhooks')}")
            time.sleep(0.2)
        return sorted((arrivals[message_id] - moment) * 1000 for message_id, moment in due.items())

    def message_ids(self, block: Block) -> list[str]:
        """Of a mailing's recipients."""
        numbers = [block.start + index * block.stride for index in range(block.count)]
        return self.services.codes.message_ids(numbers)

    def waiting(self) -> int:
        return self.services.deliveries.counts_by_state()[DeliveryState.PENDING]

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time so far, by program."""
        spent = {name: cpu_seconds(pid) for name, pid in self.pids.items()}
        return spent | self.side.cpu_seconds() if hasattr(self, "side") else spent

    def log(self, program: str) -> str:
        return log_end(self.logs / f"{program}.log")

    def _mailing(self, brand_id: str, recipients: int) -> Block:
        now, stride = datetime.now(UTC), FIRST_LINK_SLOT + 1
        block = Block(
            start=self.services.numbers.reserve(recipients * stride),
            count=recipients,
            stride=stride,
            brand_id=brand_id,
            channel=Channel.EMAIL,
            links=(Link("https://shop.example/p/1?a=1&b=2", "Link"),),
            created_at=now,
            campaign_id="spring",
        )
        self.services.blocks.insert(block)
        for first in range(0, recipients, _STORED_AT_ONCE):
            self.services.messages.insert_many(
                [
                    Message(
                        number=block.start + index * stride,
                        brand_id=brand_id,
                        channel=Channel.EMAIL,
                        recipient=Recipient(f"person{index}@people.example", id=f"c-{index}"),
                        address_hash=f"{index:064x}",
                        created_at=now,
                        campaign_id="spring",
                        metadata={"order": str(index)},
                    )
                    for index in range(first, min(first + _STORED_AT_ONCE, recipients))
                ]
            )
        return block

    def begin_beat(self) -> None:
        self._start("beat")

    def _start(self, program: str) -> None:
        with (self.logs / f"{program}.log").open("wb") as output:
            process = subprocess.Popen(
                supervised_command(program),
                cwd=REPOSITORY,
                env=self._environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._stack.callback(_stop, process)
        self.pids[program] = process.pid

    def _await_ready(self, worker: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while b" ready" not in (self.logs / f"{worker}.log").read_bytes():
            if time.monotonic() > deadline:
                raise SystemExit(f"{worker} did not start:\n{self.log(worker)}")
            time.sleep(0.1)


def supervised_command(program: str) -> list[str]:
    """What config/supervisord.conf starts under this name."""
    file = configparser.RawConfigParser()
    file.read(REPOSITORY / "config" / "supervisord.conf", encoding="utf-8")
    command = file[f"program:{program}"]["command"].replace("%(ENV_TELLTALE_BIN)s", str(Path(sys.executable).parent))
    return shlex.split(command.replace("%%", "%"))


def _opened(block: Block, index: int) -> Event:
    now_ms = time.time_ns() // 1_000_000
    return Event(
        id=ids.new_id(now_ms),
        kind=EventKind.OPENED,
        brand_id=block.brand_id,
        message=block.start + index % block.count * block.stride,
        block=block.start,
        slot=Slot.PIXEL_FOOTER,
        at_ms=now_ms,
        recorded_ms=now_ms,
        judgement=Judgement(Verdict.HUMAN, True, ("ok",)),
        rank=AGAIN,
        rules_version="bench",
        campaign_id=block.campaign_id,
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
