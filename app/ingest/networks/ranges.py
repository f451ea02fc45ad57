"""Address ranges as integers: IPv4 by all 32 bits, IPv6 by its upper 64, because nobody has less than a /64."""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from socket import AF_INET, AF_INET6, inet_pton
from typing import NamedTuple

WIDEST = {4: 8, 6: 19}
"""The shortest prefix of a list: one that is wider is a mistake, no vendor has a larger block."""

_BITS = {4: 32, 6: 64}
_MAPPED = bytes(10) + b"\xff\xff"


class Span(NamedTuple):
    """Both ends belong to it."""

    family: int
    """4 or 6."""
    start: int
    end: int


class BadNetwork(ValueError):
    """The text names no network that a list may contain."""


def parse_address(text: str) -> tuple[int, int] | None:
    """(family, number) of an address; None for anything else. An IPv4 address inside an IPv6 one counts as IPv4."""
    try:
        packed = inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except (OSError, ValueError):
        return None
    if len(packed) == 4:
        return 4, int.from_bytes(packed)
    if packed.startswith(_MAPPED):
        return 4, int.from_bytes(packed[12:])
    return 6, int.from_bytes(packed[:8])


def span_of(text: str) -> Span:
    """`192.0.2.0/24`, or an address alone. An IPv6 prefix longer than /64 becomes its /64.

    Raises:
        BadNetwork: it is none, or has bits beyond its length.
    """
    address, slash, length = text.partition("/")
    family, whole = (6, 128) if ":" in address else (4, 32)
    try:
        number = int.from_bytes(inet_pton(AF_INET6 if family == 6 else AF_INET, address))
    except (OSError, ValueError):
        raise BadNetwork(f"{text[:60]!a} is no network") from None
    if slash and not (length.isascii() and length.isdigit() and len(length) < 4 and int(length) <= whole):
        raise BadNetwork(f"{text[:60]!a} is no network")
    rest = (1 << (whole - int(length or whole))) - 1
    if number & rest:
        raise BadNetwork(f"{text} has bits beyond its length")
    last = number | rest
    return Span(6, number >> 64, last >> 64) if family == 6 else Span(4, number, last)


def parse_prefix(text: str) -> Span:
    """One line of a list.

    Raises:
        BadNetwork: as `span_of`, or it is wider than `WIDEST`.
    """
    return _narrow(span_of(text), text)


def parse_span(first: str, last: str) -> Span:
    """A range given by its ends.

    Raises:
        BadNetwork: as `parse_prefix`.
    """
    start, end = parse_address(first), parse_address(last)
    if start is None or end is None or start[0] != end[0] or start[1] > end[1]:
        raise BadNetwork(f"{first[:60]!a} to {last[:60]!a} is no network")
    return _narrow(Span(start[0], start[1], end[1]), f"{first} to {last}")


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same addresses in as few ranges as possible, in order."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.family == found[-1].family and span.start <= found[-1].end + 1:
            found[-1] = found[-1]._replace(end=max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def without(spans: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """What is in `spans` and in none of the others."""
    left = merged(spans)
    for other in merged(others):
        left = [part for span in left for part in _cut(span, other)]
    return left


def overlap(spans: Iterable[Span], others: Iterable[Span]) -> Span | None:
    """The first range of `spans` that touches one of the others."""
    checked = merged(others)
    starts = [(one.family, one.start) for one in checked]
    for span in spans:
        place = bisect_right(starts, (span.family, span.end)) - 1
        if place >= 0 and checked[place].family == span.family and checked[place].end >= span.start:
            return span
    return None


def size(spans: Iterable[Span], family: int) -> int:
    """IPv4 addresses, or IPv6 /64 networks."""
    return sum(span.end - span.start + 1 for span in spans if span.family == family)


def prefixes(spans: Iterable[Span]) -> Iterator[str]:
    """As text that `parse_prefix` reads, none wider than `WIDEST`."""
    for span in spans:
        for network in _networks(span):
            if network.prefixlen < WIDEST[span.family]:
                yield from map(str, network.subnets(new_prefix=WIDEST[span.family]))
            else:
                yield str(network)


def show(span: Span) -> str:
    """Its first prefix, for a person."""
    return str(next(iter(_networks(span))))


def _narrow(span: Span, text: str) -> Span:
    if span.end - span.start >= 1 << (_BITS[span.family] - WIDEST[span.family]):
        raise BadNetwork(f"{text} is wider than /{WIDEST[span.family]}")
    return span


def _cut(span: Span, other: Span) -> Iterator[Span]:
    if span.family != other.family or other.end < span.start or span.end < other.start:
        yield span
        return
    if span.start < other.start:
        yield span._replace(end=other.start - 1)
    if other.end < span.end:
        yield span._replace(start=other.end + 1)


def _networks(span: Span) -> Iterator[ipaddress.IPv4Network] | Iterator[ipaddress.IPv6Network]:
    if span.family == 4:
        return ipaddress.summarize_address_range(ipaddress.IPv4Address(span.start), ipaddress.IPv4Address(span.end))
    return ipaddress.summarize_address_range(
        ipaddress.IPv6Address(span.start << 64), ipaddress.IPv6Address(span.end << 64 | (1 << 64) - 1)
    )
