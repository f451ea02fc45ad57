"""What is read of vendors' files and of our own, and which lists are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.ingest.networks.catalogue import KINDS
from app.ingest.networks.folder import shipped_lists
from app.ingest.networks.list_file import ListRefused, NetworkList, Origin, list_text, network_list, read_list
from app.ingest.networks.ranges import BadNetwork, Span, merged, parse_prefix, prefixes, size, span_of, without
from app.ingest.networks.refusals import GROWS, refusals
from app.ingest.networks.vendor_formats import apple_relay, aws, digitalocean, gcp, google, of_systems, oracle

NOW = datetime(2100, 1, 1, tzinfo=UTC)
SHIPPED = shipped_lists()


def made(name: str, *texts: str, source: str = "test", add: tuple[Span, ...] = ()) -> NetworkList:
    return network_list(name, Origin("7", source, "none"), NOW, [*add, *(span_of(text) for text in texts)])


def changed(name: str, spans: list[Span]) -> NetworkList:
    """The shipped list with other networks, of the same publisher."""
    return network_list(name, SHIPPED[name].origin, NOW, spans)


WRONG = (
    "0.0.0.0/0 52.0.0.0/7 2000::/3 2600::/18 8.8.8.8/24 8.8.8.0/33 8.8.8.0/-1 8.8.8.0/ ::/129 8.8.8.0/² 8.8.8.0/24/24 "
    "8.8.8/24 x 8.8.8.0/0024 2600::/0024 /24"
)


@pytest.mark.parametrize("text", WRONG.split())
def test_a_prefix_that_is_wrong_or_too_wide_is_refused(text: str) -> None:
    with pytest.raises(BadNetwork):
        parse_prefix(text)


def test_ranges_become_prefixes_and_prefixes_the_same_ranges() -> None:
    spans = merged([span_of("8.8.4.0/24"), span_of("8.8.5.0/25"), span_of("2a00:1450::/32"), span_of("16.0.0.0/8")])
    wide = merged([*spans, span_of("17.0.0.0/8")])
    assert list(prefixes(wide)) == ["8.8.4.0/24", "8.8.5.0/25", "16.0.0.0/8", "17.0.0.0/8", "2a00:1450::/32"]
    assert merged(parse_prefix(text) for text in prefixes(wide)) == wide


def test_what_is_taken_away_is_gone_and_nothing_else() -> None:
    left = without([span_of("8.8.0.0/16")], [span_of("8.8.4.0/24"), span_of("2a00::/19"), span_of("8.9.0.0/16")])
    assert left == [Span(4, 0x08080000, 0x080803FF), Span(4, 0x08080500, 0x0808FFFF)]


def test_a_list_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "yahoo.txt"
    for networks in SHIPPED.values():
        file.write_text(list_text(networks))
        assert read_list(file) == networks


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text[: len(text) // 2], "prefixes"),
        (lambda text: text.replace("# version: 7\n", ""), "header lacks version"),
        (lambda text: text + "10.0.0.0/8\n", "prefixes"),
        (lambda text: text.replace("73.15.2.0/24", "10.15.2.0/24"), "not public"),
        (lambda text: text.replace("73.15.2.0/24", "0.0.0.0/0"), "wider than /8"),
        (lambda text: text.replace("73.15.2.0/24", "2600::/16"), "wider than /19"),
        (lambda text: text.replace("73.15.2.0/24", "pool"), "is no network"),
        (lambda text: text.replace("+00:00", ""), "no time zone"),
        (lambda text: text.replace("73.15.2.0/24\n", "").replace("prefixes: 1", "prefixes: 0"), "empty"),
        (lambda text: text.replace("none", "ö"), "ASCII"),
    ],
)
def test_half_a_list_or_a_wrong_one_is_refused(tmp_path: Path, change: object, why: str) -> None:
    file = tmp_path / "yahoo.txt"
    file.write_text(change(list_text(made("yahoo", "73.15.2.0/24"))))  # type: ignore[operator]
    with pytest.raises(ListRefused, match=why):
        read_list(file)


def test_vendors_files_are_read() -> None:
    apple = b"172.224.226.0/27,GB,GB-EN,London,\n2a02:26f7:b000:4000::/64,DE,DE-BE,Berlin,\n"
    assert apple_relay({"egress-ip-ranges.csv": apple}).spans == [
        span_of("172.224.226.0/27"),
        span_of("2a02:26f7:b000:4000::/64"),
    ]
    amazon = (
        b'{"syncToken":"1","createDate":"2026-01-02-03-04-05","prefixes":[{"ip_prefix":"3.5.140.0/22","region":"x"}]'
    )
    parsed = aws({"ip-ranges.json": amazon + b',"ipv6_prefixes":[{"ipv6_prefix":"2600:1f00::/40"}]}'})
    assert parsed == ("2026-01-02-03-04-05", [span_of("3.5.140.0/22"), span_of("2600:1f00::/40")])
    regions = (
        b'{"last_updated_timestamp":"2026","regions":[{"region":"x","cidrs":[{"cidr":"129.146.0.0/21","tags":[]}]}]}'
    )
    assert oracle({"public_ip_ranges.json": regions}).spans == [span_of("129.146.0.0/21")]
    assert digitalocean({"google.csv": b"159.65.0.0/20,GB,GB-SLG,Slough,SL1 4AX\n"}).spans == [span_of("159.65.0.0/20")]


def test_google_is_all_of_google_less_its_clouds_customers() -> None:
    everything = b'{"ipv4Prefix":"34.0.0.0/15"},{"ipv6Prefix":"2a00:1450::/32"}'
    files = {
        "goog.json": b'{"creationTime":"2026","prefixes":[%b]}' % everything,
        "cloud.json": b'{"creationTime":"2026","prefixes":[{"ipv4Prefix":"34.0.0.0/16","service":"Google Cloud"}]}',
    }
    assert google(files).spans == [span_of("34.1.0.0/16"), span_of("2a00:1450::/32")]
    assert gcp(files).spans == [span_of("34.0.0.0/16")]


def test_systems_are_chosen_by_number() -> None:
    table = b'1.0.0.0,1.0.0.255,13335,"Cloudflare, Inc."\n2.0.0.0,2.0.1.127,64500,Other\n'
    assert of_systems([table], {64500}) == [Span(4, 0x02000000, 0x0200017F)]


@pytest.mark.parametrize(
    ("parse", "name", "content"),
    [
        (apple_relay, "egress-ip-ranges.csv", b"<html><body>Sign in to the network</body></html>"),
        (apple_relay, "egress-ip-ranges.csv", b"172.224.226.0/27,GB,GB-EN,London,\n0.0.0.0/0,,,,\n"),
        (apple_relay, "egress-ip-ranges.csv", b"172.224.226.0/27,GB,GB-EN,London,\n172.224.2"),
        (digitalocean, "google.csv", b'"'),
        (aws, "ip-ranges.json", b"{}"),
        (aws, "ip-ranges.json", b'{"createDate":"1","prefixes":[{"ip_prefix":"3.5.140.1/22"}],"ipv6_prefixes":[]}'),
        (gcp, "cloud.json", b'{"creationTime":"1","prefixes":[{}]}'),
        (gcp, "cloud.json", b'{"creationTime":"1","prefixes":['),
        (oracle, "public_ip_ranges.json", b"\xff"),
    ],
)
def test_a_vendors_file_with_anything_unexpected_is_refused_whole(parse: object, name: str, content: bytes) -> None:
    with pytest.raises(ListRefused):
        parse({name: content})  # type: ignore[operator]


def test_the_list_that_is_in_use_would_be_installed_again() -> None:
    assert refusals(SHIPPED["scanners"], SHIPPED) == []


@pytest.mark.parametrize(
    ("name", "network", "why"),
    [
        ("scanners", "73.15.0.0/24", "would become scanner"),
        ("aws", "174.193.0.0/16", "would become cloud"),
        ("scanners", "165.225.72.0/22", "would become scanner"),
        ("hosting", "66.249.80.0/20", "66.249.64.0/19 would no longer be google"),
        ("aws", "40.107.0.0/24", "would become cloud"),
        ("gcp", "2a09:bac2::/32", "would become cloud"),
        ("google", "35.192.0.0/16", "would become google"),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_a_list_that_changes_what_is_known_is_refused_even_by_force(
    name: str, network: str, why: str, force: bool
) -> None:
    candidate = made(name, network, add=SHIPPED[name].spans)
    assert any(why in reason for reason in refusals(candidate, SHIPPED, force=force))


def test_a_list_that_lacks_what_is_known_is_refused() -> None:
    candidate = made("relay", "172.224.0.0/16")
    assert any("would no longer be relay" in reason for reason in refusals(candidate, SHIPPED))


def test_a_list_of_half_the_size_is_refused_unless_forced() -> None:
    spans = without(SHIPPED["oracle"].spans, [span_of("128.0.0.0/1"), span_of("64.0.0.0/2")])
    assert any("shrinks" in reason for reason in refusals(changed("oracle", spans), SHIPPED))
    assert refusals(changed("oracle", spans), SHIPPED, force=True) == []


def test_a_list_of_five_times_the_size_is_refused_unless_forced() -> None:
    grown = changed("digitalocean", [*SHIPPED["digitalocean"].spans, *(span_of(f"57.{n}.0.0/16") for n in range(150))])
    assert any("grows" in reason for reason in refusals(grown, SHIPPED))
    assert refusals(grown, SHIPPED, force=True) == []


def test_no_force_makes_a_list_cover_more_than_can_be_right() -> None:
    grown = changed("scanners", [*SHIPPED["scanners"].spans, *(span_of(f"57.{n}.0.0/16") for n in range(20))])
    assert any("at most" in reason for reason in refusals(grown, SHIPPED, force=True))


def test_a_list_nobody_knows_is_refused() -> None:
    assert "there is no list of this name" in refusals(made("vpn", "57.1.0.0/16"), SHIPPED)[0]


def test_every_list_may_grow_fourfold_before_it_cannot_be_right() -> None:
    assert all(size(SHIPPED[name].spans, 4) * GROWS <= kind.widest for name, kind in KINDS.items())
