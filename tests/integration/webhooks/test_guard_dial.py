"""The address guard where it counts: nothing listens to us that may not, whatever a name leads to and whenever."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_network

import pytest

from app.webhooks import address_guard
from app.webhooks.address_guard import AddressGuard
from app.webhooks.transport import Sender
from tests.integration.webhooks.posting import make_delivery, make_endpoint, post
from tests.integration.webhooks.raw_server import RawServer, answer

INSIDE = "127.0.0.9"
GUARD = AddressGuard([ip_network("127.0.0.0/8")], [ip_network(f"{INSIDE}/32")])
"""127.0.0.1 stands for an address anybody may have, `INSIDE` for one of ours."""


def name_leads_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """What a name server says, which no test can order from a real one."""

    def look_up(host: str) -> list[address_guard.AddressInfo]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(address_guard, "_look_up", look_up)


def test_inside_addresses_are_blocked_before_a_connection() -> None:
    hosts = [
        *("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "0.0.0.0", "[::]", "127.1", "2130706433"),
        *("0x7f000001", "0177.0.0.1", "0", "169.254.169.254", "[fd00:ec2::254]", "10.0.0.1", "[64:ff9b::7f00:1]"),
    ]

    async def run(port: int) -> list[str]:
        async with Sender(AddressGuard(), allow_http=True, max_in_flight=len(hosts)) as sender:
            sends = [sender.send(make_endpoint(f"http://{host}:{port}/"), make_delivery()) for host in hosts]
            return [sent.attempt.outcome for sent in await asyncio.gather(*sends)]

    with RawServer(answer()) as server:
        outcomes = asyncio.run(run(server.port))
        assert dict(zip(hosts, outcomes, strict=True)) == dict.fromkeys(hosts, "blocked_address")
        assert server.connections == 0


def test_a_name_that_led_outside_when_it_was_saved_and_leads_inside_now_is_blocked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with RawServer(answer()) as outside, RawServer(answer(), host=INSIDE, port=outside.port) as inside:
        url = f"http://hooks.harbour.example:{outside.port}/"
        name_leads_to(monkeypatch, "127.0.0.1")
        assert post(url, guard=GUARD)[0].attempt.outcome == "delivered"
        name_leads_to(monkeypatch, INSIDE)
        assert post(url, guard=GUARD)[0].attempt.outcome == "blocked_address"
        assert (outside.connections, inside.connections) == (1, 0)


def test_between_two_sends_the_name_may_move_and_only_the_vetted_connection_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run(url: str, pool_seconds: float) -> list[str]:
        name_leads_to(monkeypatch, "127.0.0.1")
        async with Sender(GUARD, allow_http=True, pool_seconds=pool_seconds) as sender:
            first = await sender.send(make_endpoint(url), make_delivery())
            name_leads_to(monkeypatch, INSIDE)
            second = await sender.send(make_endpoint(url), make_delivery())
        return [first.attempt.outcome, second.attempt.outcome]

    with RawServer(answer()) as outside, RawServer(answer(), host=INSIDE, port=outside.port) as inside:
        url = f"http://hooks.harbour.example:{outside.port}/"
        assert asyncio.run(run(url, pool_seconds=60.0)) == ["delivered", "delivered"]
        assert asyncio.run(run(url, pool_seconds=0.0)) == ["delivered", "blocked_address"]
        assert (outside.connections, inside.connections) == (2, 0)


def test_of_mixed_answers_the_inside_ones_are_never_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(answer()) as outside, RawServer(answer(), host=INSIDE, port=outside.port) as inside:
        url = f"http://hooks.harbour.example:{outside.port}/"
        name_leads_to(monkeypatch, INSIDE, "127.0.0.1", INSIDE)
        assert post(url, guard=GUARD, times=2)[0].attempt.outcome == "delivered"
        assert inside.connections == 0
    # Also when the allowed one does not answer.
    with RawServer(answer(), host=INSIDE, port=outside.port) as inside:
        assert post(url, guard=GUARD)[0].attempt.outcome == "connect"
        assert inside.connections == 0


def test_our_own_tracking_host_is_no_endpoint_wherever_it_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    name_leads_to(monkeypatch, "127.0.0.1")
    guard = AddressGuard([ip_network("127.0.0.0/8")], is_ours="t.harbour.example".__eq__)
    with RawServer(answer()) as server:
        assert post(f"http://t.harbour.example:{server.port}/u/x", guard=guard)[0].attempt.outcome == "blocked_address"
        assert post(f"http://hooks.harbour.example:{server.port}/", guard=guard)[0].attempt.outcome == "delivered"
        assert server.connections == 1
