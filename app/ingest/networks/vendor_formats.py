"""What vendors publish, strictly: anything unexpected refuses the whole file rather than a part of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple, TypeVar

import msgspec

from app.ingest.networks.list_file import ListRefused
from app.ingest.networks.ranges import BadNetwork, Span, parse_prefix, parse_span, without

T = TypeVar("T")


class Parsed(NamedTuple):
    """What the files of one list say."""

    version: str
    """The vendor's own, empty when they give none."""
    spans: list[Span]


class _AwsV4(msgspec.Struct):
    ip_prefix: str


class _AwsV6(msgspec.Struct):
    ipv6_prefix: str


class _Aws(msgspec.Struct):
    createDate: str  # noqa: N815 - the vendor's spelling
    prefixes: list[_AwsV4]
    ipv6_prefixes: list[_AwsV6]


class _GooglePrefix(msgspec.Struct):
    ipv4Prefix: str = ""  # noqa: N815
    ipv6Prefix: str = ""  # noqa: N815


class _Google(msgspec.Struct):
    creationTime: str  # noqa: N815
    prefixes: list[_GooglePrefix]


class _OracleRange(msgspec.Struct):
    cidr: str


class _OracleRegion(msgspec.Struct):
    cidrs: list[_OracleRange]


class _Oracle(msgspec.Struct):
    last_updated_timestamp: str
    regions: list[_OracleRegion]


def apple_relay(files: Mapping[str, bytes]) -> Parsed:
    """`prefix,country,region,city,` a line."""
    return Parsed("", [_prefix(row[0]) for row in _rows(files["egress-ip-ranges.csv"], (4, 5))])


def digitalocean(files: Mapping[str, bytes]) -> Parsed:
    """`prefix,country,region,city,postcode` a line."""
    return Parsed("", [_prefix(row[0]) for row in _rows(files["google.csv"], (4, 5))])


def aws(files: Mapping[str, bytes]) -> Parsed:
    found = _json(files["ip-ranges.json"], _Aws)
    texts = [*(one.ip_prefix for one in found.prefixes), *(one.ipv6_prefix for one in found.ipv6_prefixes)]
    return Parsed(found.createDate, [_prefix(text) for text in texts])


def gcp(files: Mapping[str, bytes]) -> Parsed:
    return _google_file(files["cloud.json"])


def google(files: Mapping[str, bytes]) -> Parsed:
    """All of Google's less its cloud's customers, as its documentation says."""
    everything, customers = _google_file(files["goog.json"]), _google_file(files["cloud.json"])
    return Parsed(everything.version, without(everything.spans, customers.spans))


def oracle(files: Mapping[str, bytes]) -> Parsed:
    found = _json(files["public_ip_ranges.json"], _Oracle)
    return Parsed(found.last_updated_timestamp, [_prefix(one.cidr) for region in found.regions for one in region.cidrs])


def of_systems(tables: Collection[bytes], systems: Collection[int]) -> list[Span]:
    """From tables of `first address,last address,AS number,organisation` lines."""
    wanted = {str(system) for system in systems}
    found: list[Span] = []
    for table in tables:
        for row in _rows(table, (3, 4)):
            if row[2] in wanted:
                try:
                    found.append(parse_span(row[0], row[1]))
                except BadNetwork as error:
                    raise ListRefused(str(error)) from error
    return found


def _google_file(raw: bytes) -> Parsed:
    found = _json(raw, _Google)
    return Parsed(found.creationTime, [_prefix(one.ipv4Prefix or one.ipv6Prefix) for one in found.prefixes])


def _json(raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError as error:
        raise ListRefused(f"it is not the vendor's JSON ({error})") from error


def _rows(raw: bytes, columns: tuple[int, int]) -> Iterator[list[str]]:
    try:
        text = raw.decode("utf-8")
        for row in csv.reader(io.StringIO(text), strict=True):
            if not columns[0] <= len(row) <= columns[1]:
                raise ListRefused(f"a line has {len(row)} columns, not {columns[0]} or {columns[1]}")
            yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise ListRefused("it is not CSV in UTF-8") from error


def _prefix(text: str) -> Span:
    try:
        return parse_prefix(text)
    except BadNetwork as error:
        raise ListRefused(str(error)) from error
