"""Reads archived hours back into MongoDB. What is there stays as it is, so it may run any number of times.

The bucket says what there is, not MongoDB, which may be empty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from app.archive import manifest as manifests
from app.archive.files import read_gzip_lines
from app.archive.hours import MANIFEST, brand_folder, hour_folder, hour_of_manifest, hour_text
from app.archive.lines import Codes, UnreadableArchive, read_line
from app.archive.ports import Bucket, Erasures, Events
from app.models.archive import ArchivedFile, ArchivePlace, Manifest
from app.models.event import Event

PAGE = 1_000


class RestoredHour(NamedTuple):
    hour: int
    events: int
    """In the archive."""
    inserted: int
    """Or, of a dry run, how many would be."""
    present: int
    """They were there already."""


class Restorer:
    """For one brand."""

    def __init__(
        self,
        brand_id: str,
        place: ArchivePlace,
        *,
        bucket: Bucket,
        events: Events,
        erasures: Erasures,
        codes: Codes,
    ) -> None:
        self._brand_id = brand_id
        self._prefix = place.prefix
        self._bucket = bucket
        self._events = events
        self._erasures = erasures
        self._codes = codes

    def hours(self, since: int, until: int) -> Iterator[int]:
        """Hours in [since, until) that the bucket has a manifest of, by time."""
        for key, _ in self._bucket.sizes(brand_folder(self._prefix, self._brand_id)):
            hour = hour_of_manifest(self._prefix, self._brand_id, key)
            if hour is not None and since <= hour < until:
                yield hour

    def restore(self, hour: int, *, dry: bool = False) -> RestoredHour:
        """Put an hour's events back; hours by time, so that a correction finds what it corrects.

        Raises:
            UnreadableArchive: a file is not what the manifest says; files before it are restored.
            BucketUnavailable, BucketRefused, StoreUnavailable: do it again.
        """
        manifest = self._manifest(hour)
        inserted = present = 0
        for file in manifest.files:
            for events in self._pages(hour, file):
                if dry:
                    there = len(self._events.present([event.id for event in events]))
                    new = len(events) - there
                else:
                    erased = self._erasures.among({event.message for event in events})
                    new, there = self._put_back(events, erased)
                inserted, present = inserted + new, present + there
        return RestoredHour(hour, manifest.events, inserted, present)

    def _put_back(self, events: Sequence[Event], erased: set[int]) -> tuple[int, int]:
        done = self._events.restore(events, erased)
        return done.inserted, done.present

    def _manifest(self, hour: int) -> Manifest:
        raw = self._bucket.get(hour_folder(self._prefix, self._brand_id, hour) + MANIFEST)
        if raw is None:
            raise UnreadableArchive(f"{hour_text(hour)} has no manifest")
        return manifests.decode(raw, self._brand_id, hour)

    def _pages(self, hour: int, file: ArchivedFile) -> Iterator[list[Event]]:
        content = self._bucket.get(hour_folder(self._prefix, self._brand_id, hour) + file.name)
        if content is None or hashlib.sha256(content).hexdigest() != file.sha256:
            raise UnreadableArchive(f"{hour_text(hour)}: {file.name} is not what was written")
        events = (read_line(line, self._brand_id, self._codes) for line in read_gzip_lines(content))
        while page := list(islice(events, PAGE)):
            yield page
