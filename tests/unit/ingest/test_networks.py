"""Whose network an address is in: the shipped lists, their twins just outside, and newer files while a process runs."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.networks import Networks
from app.ingest.networks.folder import SHIPPED, file_of, install, previous_of, shipped_lists, table_of
from app.ingest.networks.known import known, violations
from app.ingest.networks.list_file import NetworkList, Origin, network_list
from app.ingest.networks.live import CHECK_SECONDS
from app.ingest.networks.ranges import Span, merged, parse_address, span_of
from app.ingest.networks.table import Table
from app.models.signals import CLOUD, GOOGLE, MICROSOFT, PUBLIC_ADDRESS, RELAY, SCANNER, YAHOO

SHIPPED_NETWORKS = Networks()
NOW = datetime(2100, 1, 1, tzinfo=UTC)


def made(name: str, *prefixes: str, version: str = "7", date: datetime = NOW) -> NetworkList:
    return network_list(name, Origin(version, "test", "none"), date, [span_of(text) for text in prefixes])


@pytest.mark.parametrize(
    ("address", "bit"),
    [
        ("104.28.57.3", RELAY),
        ("172.224.226.1", RELAY),
        ("146.75.184.1", RELAY),
        ("2a02:26f7:b018:4000::1", RELAY),
        ("2606:54c0:2000::1", RELAY),
        ("40.92.0.1", MICROSOFT),
        ("40.107.93.1", MICROSOFT),
        ("104.47.55.1", MICROSOFT),
        ("20.42.1.1", MICROSOFT),
        ("2a01:111:f400::1", MICROSOFT),
        ("66.249.84.1", GOOGLE),
        ("66.102.8.1", GOOGLE),
        ("74.125.210.1", GOOGLE),
        ("2a00:1450:4001:800::1", GOOGLE),
        ("98.136.96.1", YAHOO),
        ("212.82.120.1", YAHOO),
        ("2001:4998:c::1", YAHOO),
        ("3.80.1.1", CLOUD),
        ("2600:1f18::1", CLOUD),
        ("35.192.0.1", CLOUD),
        ("5.9.0.1", CLOUD),
        ("51.38.0.1", CLOUD),
        ("159.65.0.1", CLOUD),
        ("129.146.0.1", CLOUD),
        ("64.235.150.1", SCANNER),
        ("67.231.144.1", SCANNER),
        ("207.211.30.1", SCANNER),
    ],
)
def test_an_address_of_a_listed_network_has_its_bit_and_no_other(address: str, bit: int) -> None:
    assert SHIPPED_NETWORKS.of(address) == PUBLIC_ADDRESS | bit


@pytest.mark.parametrize(
    ("inside", "outside", "bit"),
    [
        ("172.226.255.255", "172.227.0.0", RELAY),
        ("104.28.0.0", "104.27.255.255", RELAY),
        ("2a09:bac3:ffff::1", "2a09:bac4::1", RELAY),
        ("4.144.0.0", "4.143.255.255", MICROSOFT),
        ("66.249.64.0", "66.249.63.255", GOOGLE),
        ("66.249.95.255", "66.249.96.0", GOOGLE),
        ("2a00:1450:ffff:ffff::1", "2a00:1451::1", GOOGLE),
        ("87.248.96.0", "87.248.95.255", YAHOO),
        ("159.65.0.0", "159.64.255.255", CLOUD),
        ("5.9.0.0", "5.8.255.255", CLOUD),
        ("67.231.159.255", "67.231.160.0", SCANNER),
        ("185.58.84.0", "185.58.83.255", SCANNER),
    ],
)
def test_the_address_beside_a_listed_network_is_not_in_it(inside: str, outside: str, bit: int) -> None:
    assert SHIPPED_NETWORKS.of(inside) & bit
    assert SHIPPED_NETWORKS.of(outside) & PUBLIC_ADDRESS
    assert not SHIPPED_NETWORKS.of(outside) & bit


@pytest.mark.parametrize(
    "address",
    ["73.15.2.9", "87.130.1.1", "172.56.1.1", "109.190.1.1", "2003:6::1", "2601:1::1", "165.225.1.1", "146.112.1.1"],
)
def test_a_person_at_home_on_the_phone_or_behind_an_offices_gateway_is_in_no_list(address: str) -> None:
    assert SHIPPED_NETWORKS.of(address) == PUBLIC_ADDRESS


def test_ipv4_inside_ipv6_counts_as_ipv4() -> None:
    assert SHIPPED_NETWORKS.of("::ffff:66.249.84.1") == PUBLIC_ADDRESS | GOOGLE
    assert SHIPPED_NETWORKS.of("::ffff:10.0.0.1") == 0


NOBODY = (
    "- unknown localhost 10.1.2.3 172.31.255.255 192.168.1.1 100.64.0.1 127.0.0.1 0.0.0.0 169.254.1.1 192.0.2.1 "
    "198.51.100.7 203.0.113.255 198.19.255.255 224.0.0.1 255.255.255.255 8.8.8 08.8.8.8 :: ::1 fe80::1 fe80::1%eth0 "
    "fc00::1 ff02::1 2001:db8::1 2001::1 2002:808:808::1 3fff::1 64:ff9b::808:808 8.8.8.8:443 [2a00:1450::1] "
    "8.8.8.8/32 134744072 ８.8.8.8"
)


@pytest.mark.parametrize("address", [*NOBODY.split(), "", " 8.8.8.8", "8.8.8.8\x00", "\ud800", "2a00:" * 1000])
def test_what_is_no_address_of_the_internet_is_nothing(address: str) -> None:
    assert SHIPPED_NETWORKS.of(address) == 0


@given(st.text(max_size=60) | st.text(alphabet="0123456789abcdef:./", max_size=50))
def test_no_text_is_too_much_for_it(text: str) -> None:
    try:
        is_global = ipaddress.ip_address(text).is_global
    except ValueError:
        is_global = False
    assert bool(SHIPPED_NETWORKS.of(text)) <= (is_global or ":" in text)


@given(st.ip_addresses().map(str))
def test_an_address_is_public_where_the_registries_say_so(address: str) -> None:
    parsed = ipaddress.ip_address(address)
    if not parsed.is_global and not (parsed.version == 6 and parsed.ipv4_mapped):
        assert SHIPPED_NETWORKS.of(address) == 0


def test_no_shipped_list_contradicts_what_is_known() -> None:
    lists = shipped_lists()
    assert violations(table_of(lists.values()), known()) == []


def test_the_shipped_lists_are_small_and_say_where_they_come_from() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 1_500_000
    for one in shipped_lists().values():
        assert all(one.origin)
        assert one.date < datetime.now(UTC) + timedelta(days=1)


SPANS = st.builds(
    lambda start, length: Span(4, start, start + length), st.integers(0x01000000, 0x01000200), st.integers(0, 60)
)


@given(st.lists(SPANS, max_size=12), st.lists(SPANS, max_size=12), st.integers(0x01000000, 0x01000300))
def test_the_table_says_what_looking_through_every_range_says(
    yahoo: list[Span], scanner: list[Span], number: int
) -> None:
    expected = PUBLIC_ADDRESS
    expected |= YAHOO if any(one.start <= number <= one.end for one in yahoo) else 0
    expected |= SCANNER if any(one.start <= number <= one.end for one in scanner) else 0
    table = Table({YAHOO: merged(yahoo), SCANNER: merged(scanner)})
    assert table.bits(str(ipaddress.IPv4Address(number))) == expected


def test_networks_that_are_in_two_lists_count_in_the_persons_favour() -> None:
    both = [span_of("52.1.0.0/16")]
    assert Table({CLOUD: both, MICROSOFT: both}).bits("52.1.0.1") == PUBLIC_ADDRESS | MICROSOFT
    assert Table({CLOUD: both, RELAY: both}).bits("52.1.0.1") == PUBLIC_ADDRESS | RELAY


def test_a_customer_of_googles_cloud_is_not_google() -> None:
    both = [span_of("35.1.0.0/16")]
    assert Table({CLOUD: both, GOOGLE: both}).bits("35.1.0.1") == PUBLIC_ADDRESS | CLOUD


def test_ipv6_is_told_apart_by_its_upper_half() -> None:
    assert parse_address("2a00:1450:1:2:3:4:5:6") == (6, 0x2A00145000010002)
    table = Table({YAHOO: [span_of("2a00:1450:1:2:8000::/65")]})
    assert table.bits("2a00:1450:1:2::1") == PUBLIC_ADDRESS | YAHOO
    assert table.bits("2a00:1450:1:3::1") == PUBLIC_ADDRESS


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_refreshed_list_is_used_without_a_restart(tmp_path: Path, clock: Clock) -> None:
    networks = Networks(tmp_path, monotonic=clock)
    before = networks.version
    assert networks.of("73.15.2.9") == PUBLIC_ADDRESS
    install(made("yahoo", "73.15.2.0/24"), tmp_path)
    assert networks.of("73.15.2.9") == PUBLIC_ADDRESS
    clock.now += CHECK_SECONDS
    assert networks.of("73.15.2.9") == PUBLIC_ADDRESS | YAHOO
    assert networks.of("98.136.96.1") == PUBLIC_ADDRESS, "it stands for the shipped one, not beside it"
    assert networks.version != before


def test_a_folder_that_is_not_there_yet_is_no_fault(tmp_path: Path, clock: Clock) -> None:
    networks = Networks(tmp_path / "later" / "networks", monotonic=clock)
    assert networks.version == SHIPPED_NETWORKS.version
    assert networks.faults == {}
    (tmp_path / "later" / "networks").mkdir(parents=True)
    install(made("yahoo", "73.15.2.0/24"), tmp_path / "later" / "networks")
    clock.now += CHECK_SECONDS
    assert networks.of("73.15.2.9") & YAHOO


def test_a_list_that_is_older_than_the_shipped_one_is_not_used(tmp_path: Path) -> None:
    install(made("yahoo", "73.15.2.0/24", date=datetime(2001, 1, 1, tzinfo=UTC)), tmp_path)
    assert Networks(tmp_path).version == SHIPPED_NETWORKS.version


@pytest.mark.parametrize("content", [b"", b"\xff\xfe"])
def test_a_broken_file_leaves_the_list_before_it_in_use(tmp_path: Path, clock: Clock, content: bytes) -> None:
    install(made("yahoo", "73.15.1.0/24"), tmp_path)
    install(made("yahoo", "73.15.2.0/24"), tmp_path)
    networks = Networks(tmp_path, monotonic=clock)
    assert networks.of("73.15.2.9") & YAHOO
    file_of("yahoo", tmp_path).write_bytes(content)
    clock.now += CHECK_SECONDS
    assert networks.of("73.15.2.9") == PUBLIC_ADDRESS
    assert networks.of("73.15.1.9") & YAHOO, "the list before"
    assert set(networks.faults) == {"yahoo"}
    previous_of("yahoo", tmp_path).unlink()
    assert Networks(tmp_path).of("98.136.96.1") & YAHOO, "or else the shipped one"


def test_a_file_may_vanish_again(tmp_path: Path, clock: Clock) -> None:
    install(made("yahoo", "73.15.2.0/24"), tmp_path)
    networks = Networks(tmp_path, monotonic=clock)
    file_of("yahoo", tmp_path).unlink()
    clock.now += CHECK_SECONDS
    assert networks.version == SHIPPED_NETWORKS.version
