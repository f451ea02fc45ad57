"""Who has to wait for having asked for codes that do not exist."""

from __future__ import annotations

import pytest

from app.web.tracking.misses import Misses, TooManyMisses


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _missed(misses: Misses, client: str, times: int) -> None:
    for _ in range(times):
        misses.check(client)
        misses.add(client)


def test_thirty_misses_are_free_and_then_one_a_second() -> None:
    clock = Clock()
    misses = Misses(monotonic=clock)
    _missed(misses, "192.0.2.1", 30)
    with pytest.raises(TooManyMisses) as caught:
        misses.check("192.0.2.1")
    assert caught.value.seconds == 1
    clock.now += 1
    _missed(misses, "192.0.2.1", 1)
    with pytest.raises(TooManyMisses):
        misses.check("192.0.2.1")
    clock.now += 3600
    _missed(misses, "192.0.2.1", 30)
    with pytest.raises(TooManyMisses):
        misses.check("192.0.2.1")


def test_a_client_pays_for_itself_only() -> None:
    misses = Misses(monotonic=Clock())
    _missed(misses, "192.0.2.1", 30)
    misses.check("192.0.2.2")
    misses.check("")


def test_an_ipv6_client_is_its_network() -> None:
    misses = Misses(monotonic=Clock())
    for host in range(30):
        misses.add(f"2001:db8:0:1::{host:x}")
    with pytest.raises(TooManyMisses):
        misses.check("2001:db8:0:1:ffff:ffff:ffff:ffff")
    misses.check("2001:db8:0:2::1")


def test_a_mapped_address_is_the_ipv4_client() -> None:
    misses = Misses(monotonic=Clock())
    for _ in range(30):
        misses.add("::ffff:192.0.2.1")
    misses.check("::ffff:192.0.2.2")
    with pytest.raises(TooManyMisses):
        misses.check("192.0.2.1")


@pytest.mark.parametrize("address", ["", "garbage", "::garbage::", "fe80::1%eth0", "unix:"])
def test_whatever_stands_for_an_address_is_counted(address: str) -> None:
    misses = Misses(monotonic=Clock())
    _missed(misses, address, 30)
    with pytest.raises(TooManyMisses):
        misses.check(address)


def test_only_so_many_clients_are_remembered_and_the_quietest_is_forgotten() -> None:
    misses = Misses(kept=3, monotonic=Clock())
    _missed(misses, "192.0.2.1", 30)
    for client in ("a", "b"):
        misses.add(client)
    misses.add("192.0.2.1")  # not the quietest any more
    misses.add("c")
    assert len(misses._paid_at) == 3
    with pytest.raises(TooManyMisses):
        misses.check("192.0.2.1")
    assert "a" not in misses._paid_at
