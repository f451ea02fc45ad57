"""Sends deliveries with a real `Sender`, one after the other or many servers at once in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from app.lib import clock, ids
from app.models.delivery import Delivery, Endpoint, Item, Secret
from app.webhooks.address_guard import AddressGuard
from app.webhooks.transport import Sender, Sent
from tests.integration.webhooks.raw_server import RawServer, Script

KEY = bytes(range(32))
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
LOOPBACK = AddressGuard([ip_network("127.0.0.0/8")])
"""Open, as an operator opens it for tests."""
_counter = itertools.count()


def make_endpoint(url: str, **changes: Any) -> Endpoint:
    return Endpoint(**({"id": "main", "brand_id": "harbour", "url": url, "secrets": (Secret(KEY),)} | changes))


def make_delivery(body: bytes = b'{"type":"message.opened"}', **changes: Any) -> Delivery:
    event_id, now = ids.event_id_text(ids.new_id(clock.now_ms() + next(_counter))), clock.now()
    item = Item(event_id, "message.opened", body)
    return replace(Delivery(f"{event_id}:main", "main", "harbour", (item,), now, now), **changes)


def post(
    url: str,
    *,
    times: int = 1,
    deadline: float = 20.0,
    guard: AddressGuard = LOOPBACK,
    allow_http: bool = True,
    tls: ssl.SSLContext | None = None,
    **options: Any,
) -> list[Sent]:
    """Send `times` deliveries one after the other to a URL, over one sender."""
    endpoint = make_endpoint(url, deadline_seconds=deadline)

    async def run() -> list[Sent]:
        async with Sender(guard, allow_http=allow_http, tls=tls, **options) as sender:
            return [await sender.send(endpoint, make_delivery()) for _ in range(times)]

    return asyncio.run(run())


def post_to_each(scripts: Mapping[str, Script], *, deadline: float, **options: Any) -> dict[str, Sent]:
    """One delivery to a server for each script, all in flight at once: a case that hangs costs its deadline once."""

    async def send(server: RawServer) -> Sent:
        async with Sender(LOOPBACK, allow_http=True, **options) as sender:
            return await sender.send(make_endpoint(server.url, deadline_seconds=deadline), make_delivery())

    async def run(servers: Mapping[str, RawServer]) -> dict[str, Sent]:
        return dict(zip(servers, await asyncio.gather(*map(send, servers.values())), strict=True))

    with ExitStack() as stack:
        return asyncio.run(run({name: stack.enter_context(RawServer(script)) for name, script in scripts.items()}))


@contextlib.contextmanager
def black_hole(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port where connections are neither taken nor refused: its backlog is full, so the kernel drops each SYN."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
