"""What the webhook tests share: brands with endpoints of a test's choosing, mailings, and deliveries of their opens.

Stores are those of tests/conftest.py; workers are real processes, started with the commands of config/supervisord.conf.
"""

from __future__ import annotations

import configparser
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.brands import new_webhook_secret
from app.lib import clock, ids
from app.models.block import FIRST_LINK_SLOT, Block, Channel, Slot
from app.models.event import AGAIN, Event, EventKind, Judgement, Verdict
from app.models.message import Message, Recipient
from app.services import Services, build_services
from app.webhook_outbox import WebhookOutbox
from config.settings import load_settings
from local.environment import REPOSITORY
from local.log_end import log_end
from tests.end_to_end.client import eventually

_RECIPIENTS = 5
_AT_ONCE = 2000


def endpoint(name: str, url: str, **fields: Any) -> dict[str, Any]:
    """An endpoint as brands.yaml says it; its secret lies in a file of its name."""
    return {"id": name, "url": url, "secrets": [f"file:{name}"], **fields}


@dataclass
class WebhookWorld:
    """Services as any process has them, and one mailing per brand. Every brand has one endpoint, of the same name."""

    services: Services
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    """`whsec_…` by endpoint."""
    blocks: dict[str, Block] = field(default_factory=dict)

    def store(self, brand: str, count: int) -> list[str]:
        """Deliveries of new opens, due now; nobody is woken. Answers the events' ids."""
        block, stored = self.block(brand), []
        outbox = WebhookOutbox(self.services)
        for first in range(0, count, _AT_ONCE):
            events = [opened(block, ids.new_id(), index) for index in range(min(_AT_ONCE, count - first))]
            outbox.write(events, {block.start: block})
            stored += [ids.event_id_text(event.id) for event in events]
        return stored

    def block(self, brand: str) -> Block:
        """The brand's mailing; stored when it is first asked for."""
        if brand not in self.blocks:
            self.blocks[brand] = _store_mailing(self.services, brand)
        return self.blocks[brand]

    def states(self, name: str) -> dict[str, int]:
        """How many rows of an endpoint are in which state."""
        rows = self.services.database["deliveries"].aggregate(
            [{"$match": {"endpoint_id": name}}, {"$group": {"_id": "$state", "n": {"$sum": 1}}}]
        )
        return {row["_id"]: row["n"] for row in rows}


@contextmanager
def webhook_world(
    environment: Mapping[str, str],
    folder: Path,
    endpoints: Sequence[Mapping[str, Any]],
    files: Mapping[str, str] | None = None,
    **settings: str,
) -> Iterator[WebhookWorld]:
    """A deployment with one brand for each endpoint.

    Args:
        environment: that of tests/conftest.py.
        files: further secrets, such as URLs of queues, by the name of their file.
        settings: `TELLTALE_…` on top of it.
    """
    secrets_dir = Path(environment["TELLTALE_STATE_DIR"]) / "secrets"
    secrets_dir.mkdir(parents=True)
    secrets = {str(one["id"]): new_webhook_secret() for one in endpoints}
    for name, secret in {**secrets, **(files or {})}.items():
        (secrets_dir / name).write_text(secret, encoding="ascii")
    file = folder / "brands.yaml"
    file.write_text(json.dumps({"version": 1, "brands": [_brand(one) for one in endpoints]}), encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TELLTALE_")}
    given = {**inherited, **environment, "TELLTALE_BRANDS_FILE": str(file), **settings}
    services = build_services(load_settings(given), role="cli")
    yield WebhookWorld(services, given, secrets)
    services.close()


@contextmanager
def programs(world: WebhookWorld, folder: Path, *names: str) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Programs of config/supervisord.conf, ready; ended with a quiet TERM, as the supervisor would."""
    with ExitStack() as stack:
        started = {}
        for name in names:
            with (folder / f"{name}.log").open("wb") as output:
                started[name] = subprocess.Popen(
                    _supervised_command(name),
                    cwd=REPOSITORY,
                    env=dict(world.environment),
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            stack.callback(_stop, started[name])
        for name, process in started.items():
            if name.startswith("worker-"):
                eventually(lambda: _is_ready(process, folder / f"{name}.log"), f"{name} is ready")  # noqa: B023 - now
        yield started


def opened(block: Block, event_id: bytes, recipient: int) -> Event:
    """An open of one of a mailing's messages."""
    at_ms = ids.ms_of(event_id)
    return Event(
        id=event_id,
        kind=EventKind.OPENED,
        brand_id=block.brand_id,
        message=block.start + recipient % block.count * block.stride,
        block=block.start,
        slot=Slot.PIXEL_FOOTER,
        at_ms=at_ms,
        recorded_ms=at_ms,
        judgement=Judgement(Verdict.HUMAN, True, ("ok",)),
        rank=AGAIN,
        rules_version="test",
    )


def _brand(one: Mapping[str, Any]) -> dict[str, Any]:
    name = str(one["id"])
    return {
        "id": name,
        "name": name.title(),
        "channels": ["email"],
        "tracking_hosts": [f"t.{name}.example"],
        "endpoints": [one],
    }


def _store_mailing(services: Services, brand: str) -> Block:
    now = clock.now()
    block = Block(
        start=services.numbers.reserve(_RECIPIENTS * FIRST_LINK_SLOT),
        count=_RECIPIENTS,
        stride=FIRST_LINK_SLOT,
        brand_id=brand,
        channel=Channel.EMAIL,
        links=(),
        created_at=now,
    )
    services.blocks.insert(block)
    services.messages.insert_many(
        [
            Message(
                number=block.start + index * block.stride,
                brand_id=brand,
                channel=Channel.EMAIL,
                recipient=Recipient(f"p{index}@people.example", id=f"c-{index}"),
                address_hash=services.keyring.address_hash(brand, Channel.EMAIL, f"p{index}@people.example"),
                created_at=now,
            )
            for index in range(block.count)
        ]
    )
    return block


def _supervised_command(program: str) -> list[str]:
    file = configparser.RawConfigParser()
    file.read(REPOSITORY / "config" / "supervisord.conf", encoding="utf-8")
    command = file[f"program:{program}"]["command"].replace("%(ENV_TELLTALE_BIN)s", str(Path(sys.executable).parent))
    return shlex.split(command.replace("%%", "%"))


def _is_ready(process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, f"it ended:\n{log_end(log)}"
    return b" ready" in log.read_bytes()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
