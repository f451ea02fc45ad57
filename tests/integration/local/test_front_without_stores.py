"""MongoDB and Redis are stopped under a running front, real ones: what is still answered, and what says so."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.journal.segments import list_segments
from app.lib import clock
from app.models import record_line
from app.models.block import FIRST_LINK_SLOT, Block, Channel, Link
from app.models.record import Record
from app.services import Services, build_services
from app.storage.indexes import create_indexes
from app.tracking.tokens import TokenContent, TokenPurpose
from app.web.tracking.answers import PIXEL
from config.settings import load_settings
from local.environment import Ports, make_runtime_dir, process_environment
from local.ports import free_port
from local.secret_files import make_secrets
from local.servers import Server, start_mongod, start_redis
from tests.integration.local.web_stack import ROOT, Answer, WebStack

TARGET = "https://shop.alder.example/?a=1&b=2"
BRANDS = {
    "version": 1,
    "brands": [{"id": "alder", "name": "Alder", "channels": ["email"], "tracking_hosts": ["t.alder.example"]}],
}


@dataclass
class Copy:
    """A front with its stores, and what only the test may do with them."""

    stack: WebStack
    services: Services
    stores: tuple[Server, Server]

    def ask(self, path: str, method: str = "GET") -> Answer:
        return self.stack.request(path, method, headers={"Host": "t.alder.example"})

    def store_link(self) -> str:
        services = self.services
        start = services.numbers.reserve(FIRST_LINK_SLOT + 1)
        links = (Link(TARGET),)
        services.blocks.insert(
            Block(start, 1, FIRST_LINK_SLOT + 1, "alder", Channel.EMAIL, links, created_at=clock.now())
        )
        return services.codes.encode(start + FIRST_LINK_SLOT)

    def seal(self, purpose: TokenPurpose) -> str:
        content = TokenContent(reference="r", destination=TARGET if purpose is TokenPurpose.CLICK else None)
        return self.services.token_keys.seal_many("alder", purpose, [content])[0]

    def records(self) -> list[Record]:
        segments = list_segments(self.services.settings.journal_dir)
        return [record_line.decode(line) for path in segments for line in path.read_bytes().splitlines()]


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Copy]:
    stores = start_mongod(tmp_path / "mongod"), start_redis(tmp_path / "valkey")
    brands = tmp_path / "brands.yaml"
    brands.write_text(json.dumps(BRANDS))
    make_secrets(tmp_path / "secrets", brands)
    port = free_port()
    environment = process_environment(
        tmp_path,
        make_runtime_dir(tmp_path),
        Ports(nginx=port, flower=0, mongod=None, valkey=None),
        brands_file=brands,
        given={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TELLTALE_MONGO_URL": stores[0].url,
            "TELLTALE_REDIS_URL": stores[1].url,
            # One, so that what is in a process's memory does not depend on which of them answers.
            "TELLTALE_WEB_PROCESSES": "1",
        },
    )
    stack = WebStack(tmp_path, environment, port, (ROOT / "config" / "uwsgi.ini").read_text())
    services = build_services(load_settings(environment), role="worker")
    try:
        create_indexes(services.database)
        stack.start_uwsgi()
        stack.start_nginx()
        stack.wait_until_it_answers("/healthz")
        yield Copy(stack, services, stores)
    finally:
        services.close()
        stack.stop()
        for store in stores:
            store.stop()


def test_without_stores_tokens_lead_on_pixels_show_and_unknown_codes_say_so(copy: Copy) -> None:
    cached, uncached = copy.store_link(), copy.store_link()
    click, opened, leave = (
        copy.seal(purpose) for purpose in (TokenPurpose.CLICK, TokenPurpose.OPEN, TokenPurpose.UNSUBSCRIBE)
    )
    # Also the key that was made a moment ago is known by now.
    assert [copy.ask(path)[1].get("location") for path in (f"/c/{cached}", f"/c/s/{click}")] == [TARGET, TARGET]
    for store in copy.stores:
        store.stop()

    def tokens_work() -> None:
        status, headers, _ = copy.ask(f"/c/s/{click}")
        assert (status, headers["location"]) == (302, TARGET)
        for path in (f"/o/s/{opened}.gif", f"/o/{uncached}.gif", "/o/garbage"):
            status, headers, body = copy.ask(path)
            assert (status, headers["content-type"], body) == (200, "image/gif", PIXEL)
        assert copy.ask(f"/u/s/{leave}")[0] == 200
        # Nothing to suppress, so nobody has to be asked.
        assert copy.ask(f"/u/s/{leave}", "POST")[0] == 200

    tokens_work()
    assert copy.ask(f"/c/{cached}")[1]["location"] == TARGET
    for path, method in [(f"/c/{uncached}", "GET"), (f"/c/{uncached}", "HEAD"), (f"/u/{uncached}", "GET")] * 5:
        status, headers, _ = copy.ask(path, method)
        assert (status, headers["retry-after"], "location" in headers) == (503, "30", False)
        assert headers["cache-control"].startswith("no-store")
    # A process that starts now has the token keys from this machine's file; no block is in its memory.
    copy.stack.stop_uwsgi()
    copy.stack.start_uwsgi()
    copy.stack.wait_until_it_answers("/healthz")
    tokens_work()
    assert copy.ask(f"/c/{cached}")[0] == 503
    assert [record.token for record in copy.records()].count(click) == 3, "each of them is in the journal"
