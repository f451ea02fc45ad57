"""The archive of a brand's events: where it is kept, and what an hour of it consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from app.models.event import EventKind

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class ArchivePlace:
    """A brand's own bucket."""

    bucket: str
    region: str
    prefix: str = ""
    """Before every object's name; ends with `/` unless it is empty."""
    endpoint_url: str | None = None
    """Of a store that speaks S3 and is not Amazon's, in normal form."""
    access_key_id: str | None = field(default=None, repr=False)
    """None: the role of the machine."""
    secret_access_key: str | None = field(default=None, repr=False)


class Position(NamedTuple):
    """A place in a brand's events, in the order they were recorded."""

    recorded_ms: int
    event_id: bytes


class ArchivedFile(NamedTuple):
    """One object of an hour."""

    name: str
    """Relative to the hour's folder."""
    events: int
    size: int
    """Bytes, compressed."""
    sha256: str
    """Of the compressed bytes, in hex."""
    first_id: str
    last_id: str
    """`evt_…`, in the order they were recorded."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an hour is written: what a run that was killed left to the next."""

    files: tuple[ArchivedFile, ...] = ()
    counts: Mapping[EventKind, int] = field(default_factory=dict)
    after: Position | None = None
    """The last event of the last file."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an hour consists of. Written last, so an hour that has one is complete."""

    brand_id: str
    hour: int
    """Milliseconds since 1970 of its start, UTC. Hours are of recording."""
    counts: Mapping[EventKind, int]
    """Only kinds of which there were any."""
    files: tuple[ArchivedFile, ...]

    @property
    def events(self) -> int:
        return sum(self.counts.values())


class ArchivedHour(NamedTuple):
    """What MongoDB remembers of an hour."""

    hour: int
    events: int
    files: int
    size: int
    """Bytes."""
    manifest_sha256: str
