"""Fingerprints of clients: the same for the same place and message, and of use for nothing else."""

from __future__ import annotations

import random

import pytest

from app.ingest.networks.ranges import parse_address
from app.ingest.sources import Sources
from app.models import signals

SOURCES = Sources(b"k" * 32)


def of(client: str, message: int, sources: Sources = SOURCES) -> tuple[int, int]:
    address = parse_address(client)
    assert address is not None
    (found,) = sources.of([(*address, message)])
    return signals.address_of(found), signals.network_of(found)


def test_the_same_client_on_the_same_message_is_the_same_and_on_another_is_not() -> None:
    assert of("203.0.113.7", 5000) == of("203.0.113.7", 5000)
    by_message = {of("203.0.113.7", message) for message in range(1000)}
    assert len(by_message) > 990


def test_addresses_of_one_network_share_the_network_and_never_the_address() -> None:
    found = [of(f"203.0.113.{host}", 5000) for host in range(256)]
    assert len({network for _, network in found}) == 1
    assert len({address for address, _ in found}) >= 255, "one may be the number that stands for nobody"
    assert of("203.0.114.7", 5000)[1] != found[7][1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:DB8:1:2::1", "2001:db8:1:2::1"),
    ],
)
def test_other_ways_to_write_a_client_are_the_same_client(one: str, other: str) -> None:
    assert of(one, 5000) == of(other, 5000)


def test_households_of_one_provider_share_the_network_only() -> None:
    one, other = of("2001:db8:1:2::1", 5000), of("2001:db8:1:3::1", 5000)
    assert one[1] == other[1]
    assert one[0] != other[0]


def test_other_keys_give_other_fingerprints_and_none_is_longer_than_it_says() -> None:
    chance = random.Random(7)
    other = Sources(b"l" * 32)
    same = 0
    for _ in range(2000):
        client, message = f"{chance.randrange(1, 224)}.{chance.randrange(256)}.1.2", chance.randrange(1 << 62)
        address, network = of(client, message)
        assert 0 < address < 1 << 16
        assert 0 < network < 1 << 15
        same += (address, network) == of(client, message, other)
    assert same <= 1
