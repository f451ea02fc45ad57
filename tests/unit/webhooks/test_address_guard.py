"""Which addresses may be dialled: one case for each row of the table, and its edges."""

from __future__ import annotations

import asyncio
import socket
import threading
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lib.http_url import check_endpoint_url
from app.webhooks import address_guard
from app.webhooks.address_guard import AddressGuard, BlockedAddress

DENIED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:1ff::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "3fff::1",
    "3fff:fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "4000::1",
    "1fff::1",
]
ALLOWED = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2606:4700::1111",
    "2a00:1450:4001::1",
    "3ffe::1",
    "::ffff:1.1.1.1",
]
NOT_ADDRESSES = ["", "localhost", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "1.1.1.1/32", "１.1.1.1", "[::1]"]


@pytest.mark.parametrize("address", DENIED)
def test_denied(address: str) -> None:
    assert not AddressGuard().allows(address)


@pytest.mark.parametrize("address", ALLOWED)
def test_allowed(address: str) -> None:
    assert AddressGuard().allows(address)


@pytest.mark.parametrize("text", NOT_ADDRESSES)
def test_what_is_not_an_address_is_denied(text: str) -> None:
    assert not AddressGuard([ip_network("0.0.0.0/0"), ip_network("::/0")]).allows(text)


def test_the_operator_opens_and_closes_networks() -> None:
    guard = AddressGuard([ip_network("127.0.0.0/8")], [ip_network("1.1.1.0/24"), ip_network("127.0.0.9/32")])
    assert guard.allows("127.0.0.1")
    assert guard.allows("::ffff:127.0.0.1")
    assert not guard.allows("10.0.0.1")
    assert not guard.allows("1.1.1.1")
    assert not guard.allows("127.0.0.9")


@given(st.ip_addresses())
def test_nothing_allowed_is_private_by_pythons_own_table(address: Any) -> None:
    if AddressGuard().allows(str(address)):
        mapped = getattr(address, "ipv4_mapped", None) or address
        assert not mapped.is_private
        assert not mapped.is_loopback
        assert not mapped.is_link_local
        assert not mapped.is_multicast


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://user:pw@hooks.shop.example/",
            "https://hooks.shop.example\\@127.0.0.1/",
            "https://hooks.shop\t.example/",
        ),
        *("https://hooks.shop.example/#part", "https://hooks.shop.example:22/", "https://hooks.shop.example:25/"),
        *("https://hooks.shop.example:6379/", "https://hooks.shop.example:0/", "https://redis/", "https://mongo:443/"),
    ],
)
def test_what_can_only_be_a_mistake_or_an_attack_is_refused_when_it_is_saved(url: str) -> None:
    with pytest.raises(ValueError) as refusal:
        check_endpoint_url(url)
    assert "hooks.shop" not in str(refusal.value)


def _resolve(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """What the resolver makes of a name server's answers, which no test can order from a real one."""
    found = [(socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 443)) for a in answers]
    monkeypatch.setattr(address_guard, "_look_up", lambda *_: found)
    results = asyncio.run(AddressGuard().resolve("hooks.harbour.example", 443))
    return [result[4][0] for result in results]


def test_private_answers_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _resolve(monkeypatch, "10.0.0.1", "1.1.1.1", "::1", "2606:4700::1111") == ["1.1.1.1", "2606:4700::1111"]


def test_a_name_with_only_private_answers_is_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BlockedAddress):
        _resolve(monkeypatch, "10.0.0.1", "fd00::1")


def test_a_name_server_that_does_not_answer_costs_its_limit_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(address_guard, "_look_up", lambda *_: release.wait(10) and [])

    async def resolve() -> None:
        with pytest.raises(OSError, match="timed out"):
            await AddressGuard().resolve("hooks.harbour.example", 443, timeout_seconds=0.05)

    try:
        asyncio.run(asyncio.wait_for(resolve(), 2))
    finally:
        release.set()


def test_the_last_gate_gives_no_socket_for_a_denied_address() -> None:
    guard = AddressGuard()
    with pytest.raises(BlockedAddress):
        guard.open_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443)))
    with pytest.raises(BlockedAddress):
        guard.open_socket((socket.AF_UNIX, socket.SOCK_STREAM, 0, "", "/run/some.sock"))
    guard.open_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 443))).close()


def test_an_address_in_text_form_is_checked_without_a_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_guard, "_look_up", lambda *_: pytest.fail("nothing to look up"))
    guard = AddressGuard([ip_network("::1/128")])
    for host in ("127.0.0.1", "169.254.169.254", "fd00:ec2::254", "::ffff:127.0.0.1"):
        with pytest.raises(BlockedAddress):
            asyncio.run(guard.resolve(host, 443))
    assert [info[4] for info in asyncio.run(guard.resolve("::1", 443))] == [("::1", 443, 0, 0)]


@pytest.mark.parametrize("host", ["t.harbour.example", "T.Harbour.EXAMPLE", "t.harbour.example."])
def test_our_own_hosts_are_never_dialled_wherever_they_lead(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_guard, "_look_up", lambda *_: pytest.fail("nothing to look up"))
    guard = AddressGuard(is_ours="t.harbour.example".__eq__)
    with pytest.raises(BlockedAddress):
        asyncio.run(guard.resolve(host, 443))


def test_a_service_name_inside_is_blocked_by_where_it_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    for inside in ("10.1.2.3", "172.18.0.5", "192.168.0.9"):  # as a CNAME to `redis` or `mongo` ends
        with pytest.raises(BlockedAddress):
            _resolve(monkeypatch, inside)


def test_a_name_whose_server_does_not_answer_holds_one_lookup_and_no_other_name_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release, asked = threading.Event(), []

    def look_up(host: str) -> list[address_guard.AddressInfo]:
        asked.append(host)
        if host == "dead.example":
            release.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 0))]

    async def resolve() -> None:
        guard = AddressGuard()
        dead = [guard.resolve("dead.example", port, timeout_seconds=0.1) for port in range(100)]
        results = await asyncio.gather(*dead, return_exceptions=True)
        assert {str(result) for result in results} == {"name lookup timed out"}
        assert (await guard.resolve("hooks.harbour.example", 8443))[0][4] == ("1.1.1.1", 8443)

    monkeypatch.setattr(address_guard, "_look_up", look_up)
    try:
        asyncio.run(resolve())
        assert asked == ["dead.example", "hooks.harbour.example"]
    finally:
        release.set()
