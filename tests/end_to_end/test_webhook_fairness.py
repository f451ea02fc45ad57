"""Four brands at their worst (one hangs, one drips, one refuses, one has 20,000 events waiting), twenty healthy ones.

How long a healthy brand waits is measured by `make bench-webhooks`. Here only the order of things decides: healthy
brands are told of everything while the flood still waits, and before the hanging endpoint was given up for once.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.end_to_end.client import eventually
from tests.end_to_end.webhook_world import WebhookWorld, endpoint, programs, webhook_world
from tests.integration.webhooks.raw_server import RawServer, Request, Script, answer, drip, silence

HEALTHY = tuple(f"calm{number}" for number in range(20))
FLOOD = int(os.environ.get("TELLTALE_TEST_FLOOD", "20000"))
FEW = 50
ROUNDS = 5
BAD: dict[str, Script] = {
    "hanging": silence,
    "dripping": drip(b"HTTP/1.1 200 OK\r\nX: ", b"a"),
    "refusing": answer("500 No"),
    "flooding": answer(),
}


class Brands:
    """A server for each bad brand and one for the healthy; what came is kept in the order of arrival."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.order: list[str] = []
        """The endpoint of every request."""
        self._servers = {name: self._start(name, script) for name, script in BAD.items()}
        self._servers |= dict.fromkeys(HEALTHY, self._start("healthy", answer()))

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._servers[name].port}/{name}"

    def count(self, name: str) -> int:
        return self.order.count(name)

    def close(self) -> None:
        self._stack.close()

    def _start(self, name: str, script: Script) -> RawServer:
        def note(server: RawServer, connection: socket.socket, request: Request) -> None:
            self.order.append(name)
            script(server, connection, request)

        return self._stack.enter_context(RawServer(note))


@pytest.fixture
def brands() -> Iterator[Brands]:
    found = Brands()
    yield found
    found.close()


@pytest.fixture
def world(environment: dict[str, str], tmp_path: Path, brands: Brands) -> Iterator[WebhookWorld]:
    listed = [endpoint(name, brands.url(name), deadline_seconds=30) for name in (*BAD, *HEALTHY)]
    with webhook_world(environment, tmp_path, listed) as world:
        yield world


@pytest.mark.slow
def test_healthy_brands_hear_everything_while_others_hang_drip_refuse_and_flood(
    world: WebhookWorld, brands: Brands, tmp_path: Path
) -> None:
    for name in BAD:
        world.store(name, FLOOD if name == "flooding" else FEW)
    for name in HEALTHY:
        world.block(name)
    with programs(world, tmp_path, "worker-webhooks"):
        world.services.wake({(name, name) for name in BAD})
        eventually(lambda: all(brands.count(name) for name in BAD), "every bad brand is being asked")
        for number in range(1, ROUNDS + 1):
            for name in HEALTHY:
                world.store(name, 1)
                world.services.wake({(name, name)})
            due = number * len(HEALTHY)
            eventually(lambda due=due: brands.count("healthy") >= due, "healthy brands are told")
        order = list(brands.order)
        waiting = world.states("flooding").get("pending", 0)
        # In here, so that nothing hangs any more when the worker is asked to end.
        brands.close()
    assert order.count("healthy") == ROUNDS * len(HEALTHY), "once each"
    assert order.count("hanging") <= 8, "those in flight at first: nobody has waited for it to be given up"
    assert order.count("dripping") <= 8
    assert order.count("flooding") > 0
    assert waiting > FLOOD / 2, "the flood still waits, mostly"
