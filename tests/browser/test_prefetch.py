"""Chromium loads a tracked link ahead, then the person clicks it: the front hears of both, and the person arrives."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import BrowserContext

from app.journal.segments import list_segments
from app.lib import clock
from app.models import record_line
from app.models.block import FIRST_LINK_SLOT, Block, Channel, Link
from app.models.record import Record
from app.services import Services, build_services
from app.tracking.tokens import TokenContent, TokenPurpose
from config.settings import load_settings
from local.environment import Ports, make_runtime_dir, process_environment
from local.ports import free_port
from local.secret_files import make_secrets
from local.servers import Server
from tests.browser.chromium import chromium
from tests.integration.local.web_stack import ROOT, WebStack, until

TARGET = "http://shop.alder.example/landed"
BRANDS = {
    "version": 1,
    "brands": [{"id": "alder", "name": "Alder", "channels": ["email"], "tracking_hosts": ["t.alder.example"]}],
}
AHEAD = {
    "link": '<link rel="prefetch" href="{url}">',
    "prefetch": '<script type="speculationrules">{{"prefetch":[{{"source":"list","urls":["{url}"]}}]}}</script>',
    "prerender": '<script type="speculationrules">{{"prerender":[{{"source":"list","urls":["{url}"]}}]}}</script>',
}


class Pages(BaseHTTPRequestHandler):
    """Everything that is not ours: `/KIND/PATH` is a page that loads PATH of the tracking host ahead."""

    def do_GET(self) -> None:
        kind, _, path = self.path[1:].partition("/")
        url = f"http://t.alder.example/{path}"
        body = f'<!doctype html><title>Page</title>{AHEAD.get(kind, "").format(url=url)}<a href="{url}">Go</a>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Front:
    """nginx and uWSGI as they are deployed, and one link in two forms."""

    def __init__(self, services: Services) -> None:
        self._services = services
        start = services.numbers.reserve(FIRST_LINK_SLOT + 1)
        stride = FIRST_LINK_SLOT + 1
        services.blocks.insert(Block(start, 1, stride, "alder", Channel.EMAIL, (Link(TARGET),), created_at=clock.now()))
        content = TokenContent(reference="r", destination=TARGET)
        (token,) = services.token_keys.seal_many("alder", TokenPurpose.CLICK, [content])
        self.paths = {"code": f"c/{services.codes.encode(start + FIRST_LINK_SLOT)}", "token": f"c/s/{token}"}

    def records(self) -> list[Record]:
        segments = list_segments(self._services.settings.journal_dir)
        return [record_line.decode(line) for path in segments for line in path.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def pages() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def front_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def front(mongod: Server, valkey: Server, tmp_path_factory: pytest.TempPathFactory, front_port: int) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("prefetch")
    brands = folder / "brands.yaml"
    brands.write_text(json.dumps(BRANDS))
    make_secrets(folder / "secrets", brands)
    environment = process_environment(
        folder,
        make_runtime_dir(folder),
        Ports(nginx=front_port, flower=0, mongod=None, valkey=None),
        brands_file=brands,
        given={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TELLTALE_MONGO_URL": mongod.url,
            "TELLTALE_MONGO_DATABASE": f"test_{secrets.token_hex(6)}",
            "TELLTALE_REDIS_URL": valkey.url,
            "TELLTALE_WEB_PROCESSES": "1",
            "TELLTALE_JOURNAL_LOW_BYTES": "1048576",
        },
    )
    stack = WebStack(folder, environment, front_port, (ROOT / "config" / "uwsgi.ini").read_text())
    services = build_services(load_settings(environment), role="worker")
    try:
        stack.start_uwsgi()
        stack.start_nginx()
        stack.wait_until_it_answers("/healthz")
        yield Front(services)
    finally:
        stack.stop()
        services.database.client.drop_database(services.database.name)
        services.redis.flushall()
        services.close()


@pytest.fixture(scope="module")
def new_context(pages: int, front_port: int) -> Iterator[Callable[..., BrowserContext]]:
    reach = {"t.alder.example": front_port}
    reach |= dict.fromkeys(("mail.example", "www.alder.example", "shop.alder.example"), pages)
    with chromium(reach) as new_context:
        yield new_context


@pytest.mark.parametrize("form", ["code", "token"])
@pytest.mark.parametrize("site", ["mail.example", "www.alder.example"])
@pytest.mark.parametrize("kind", AHEAD)
def test_a_link_that_was_loaded_ahead_is_asked_for_again_when_it_is_clicked(
    front: Front, new_context: Callable[..., BrowserContext], kind: str, site: str, form: str
) -> None:
    before = len(front.records())
    with new_context(java_script_enabled=True) as context:
        page = context.new_page()
        page.goto(f"http://{site}/{kind}/{front.paths[form]}")
        until(lambda: len(front.records()) == before + 1)
        page.click("a")
        page.wait_for_url(TARGET)
        ahead, click = front.records()[before:]
    assert ahead.headers["purpose"].startswith("prefetch")
    assert (click.headers, click.facts) == ({}, "hlm")
