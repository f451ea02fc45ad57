"""What a file of networks says: a header of `# key: value` lines, then one prefix a line.

The count of prefixes is in the header, so that half a file is no file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from app.ingest.networks.ranges import BadNetwork, Span, merged, overlap, parse_prefix, prefixes, show
from app.ingest.networks.table import NOT_PUBLIC

MAX_BYTES = 16 * 1024 * 1024
MAX_RANGES = 400_000

_HEADER = ("list", "version", "date", "source", "licence", "prefixes")
_HEADER_LINE = re.compile(r"# (\w+): (.{1,300})")


class ListRefused(ValueError):
    """The file or the list cannot be used; the text says why, for a person."""


class Origin(NamedTuple):
    """Where a list comes from."""

    version: str
    """The publisher's own, or the day."""
    source: str
    licence: str


@dataclass(frozen=True, slots=True)
class NetworkList:
    """The networks of one kind, as published at one moment."""

    name: str
    origin: Origin
    date: datetime
    """When the file was made, in UTC: of two files of one list the later one is used."""
    spans: tuple[Span, ...]
    """Merged, none of them private."""


def network_list(name: str, origin: Origin, date: datetime, spans: list[Span]) -> NetworkList:
    """Merge what was parsed and check it.

    Raises:
        ListRefused: it is empty, too large, or contains private space.
    """
    found = tuple(merged(spans))
    if not found:
        raise ListRefused("it is empty")
    if len(found) > MAX_RANGES:
        raise ListRefused(f"it has {len(found)} ranges, more than {MAX_RANGES}")
    if private := overlap(found, NOT_PUBLIC):
        raise ListRefused(f"it contains space that is not public: {show(private)}")
    return NetworkList(name, origin, date, found)


def read_list(path: Path) -> NetworkList:
    """Raises:
    OSError: the file cannot be read.
    ListRefused: it is not as `list_text` makes it.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ListRefused(f"it is larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        lines = raw.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise ListRefused("it is not text in ASCII") from None
    header: dict[str, str] = {match[1]: match[2] for line in lines if (match := _HEADER_LINE.fullmatch(line))}
    if missing := [key for key in _HEADER if key not in header]:
        raise ListRefused(f"its header lacks {', '.join(missing)}")
    try:
        date = datetime.fromisoformat(header["date"])
        spans = [parse_prefix(line) for line in lines if not line.startswith("#")]
        count = int(header["prefixes"])
    except BadNetwork as error:
        raise ListRefused(str(error)) from error
    except ValueError:
        raise ListRefused("its date or its count of prefixes is none") from None
    if date.tzinfo is None:
        raise ListRefused("its date has no time zone")
    if count != len(spans):
        raise ListRefused(f"it has {len(spans)} prefixes, and its header says {count}")
    origin = Origin(header["version"], header["source"], header["licence"])
    return network_list(header["list"], origin, date, spans)


def list_text(networks: NetworkList) -> str:
    """The file."""
    lines = list(prefixes(networks.spans))
    header = {
        "list": networks.name,
        "version": networks.origin.version,
        "date": networks.date.isoformat(timespec="seconds"),
        "source": networks.origin.source,
        "licence": networks.origin.licence,
        "prefixes": len(lines),
    }
    return "\n".join([*(f"# {key}: {value}" for key, value in header.items()), *lines, ""])
