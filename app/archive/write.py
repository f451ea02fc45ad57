"""Writes an hour: its files one by one, then its manifest, then what MongoDB remembers of it.

Whatever stops a run, the next goes on behind the last file. Names carry the digest of what is in them, so two runs that
see different bytes (a person was erased in between) write beside each other and never over each other, and the
manifest decides. What no manifest names is taken away at the end.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple

from app.archive import manifest as manifests
from app.archive.files import MAX_EVENTS, FileWriter
from app.archive.hours import MANIFEST, hour_folder, hour_text
from app.archive.lines import Codes, write_lines
from app.archive.ports import Bucket, Events, Show, State
from app.errors import StoreUnavailable, TransientError
from app.lib import clock
from app.lib.ids import event_id_text
from app.lib.log import INFO, WARNING, log_event
from app.models.archive import HOUR_MS, ArchivedFile, ArchivePlace, Manifest, Position, Progress
from app.models.event import Event, EventKind

log = logging.getLogger(__name__)

PAGE = 2_000
_LAST_ID = b"\xff" * 16
_JSON, _GZIP = "application/json", "application/gzip"


class Outcome(StrEnum):
    WRITTEN = "written"
    MORE = "more"
    """The time was up; the next run goes on behind the last file."""
    BUSY = "busy"
    """Another run works on it."""
    KEPT = "kept"
    """The bucket has more of the hour than MongoDB, which is past its keeping or not what it was: nothing is written
    over that."""


class HourChanged(TransientError):
    """What was written is not what MongoDB counts, or the claim was lost. The hour is begun anew."""


class HourWriter:
    """For one brand and one run.

    Args:
        show: the public JSON of events; a list as long as the one given.
        max_events: in a file.
        now_seconds: a monotonic clock.
    """

    def __init__(
        self,
        brand_id: str,
        place: ArchivePlace,
        *,
        bucket: Bucket,
        events: Events,
        state: State,
        show: Show,
        codes: Codes,
        max_events: int = MAX_EVENTS,
        now_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._brand_id = brand_id
        self._prefix = place.prefix
        self._bucket = bucket
        self._events = events
        self._state = state
        self._show = show
        self._codes = codes
        self._max_events = max_events
        self._now_seconds = now_seconds

    def write(self, hour: int, *, until: float = float("inf")) -> Outcome:
        """Archive an hour that is settled, whether it was before or not.

        Args:
            hour: its start, in milliseconds.
            until: no file is begun after this moment of `now_seconds`, except the first.

        Raises:
            BucketUnavailable, BucketRefused, StoreUnavailable, HourChanged: nothing is lost; run it again.
        """
        token = self._state.claim(self._brand_id, hour, clock.now())
        if token is None:
            return Outcome.BUSY
        try:
            return self._claimed(hour, token, until)
        finally:
            with suppress(StoreUnavailable):  # the claim ends by itself
                self._state.release(self._brand_id, hour, token)

    def _claimed(self, hour: int, token: str, until: float) -> Outcome:
        raw = self._bucket.get(self._key(hour, MANIFEST))
        if raw is not None and self._has_more(found := manifests.decode(raw, self._brand_id, hour)):
            self._note(found, raw, token)
            log_event(log, WARNING, "archive_hour_kept", brand_id=self._brand_id, hour=hour_text(hour))
            return Outcome.KEPT
        progress = self._files(hour, token, until)
        if progress is None:
            return Outcome.MORE
        counted = self._events.counts(self._brand_id, hour, hour + HOUR_MS)
        if counted != Counter(progress.counts):
            self._save(hour, token, Progress())
            raise HourChanged("counts")
        self._finish(Manifest(self._brand_id, hour, counted, progress.files), token, progress)
        return Outcome.WRITTEN

    def _has_more(self, found: Manifest) -> bool:
        """Whether the bucket has more of any kind than MongoDB: past the retention of events, or after a database was
        lost. What is in the bucket may be all there is."""
        counted = self._events.counts(self._brand_id, found.hour, found.hour + HOUR_MS)
        return any(number > counted[kind] for kind, number in found.counts.items())

    def _files(self, hour: int, token: str, until: float) -> Progress | None:
        """All files of an hour; None when the time is up before."""
        progress = self._state.progress(self._brand_id, hour)
        there = dict(self._bucket.sizes(self._key(hour, "")))
        if any(there.get(self._key(hour, file.name)) != file.size for file in progress.files):
            progress = Progress()  # somebody has been at the bucket
        while built := self._next_file(hour, progress):
            key = self._key(hour, built.file.name)
            if there.get(key) != built.file.size:
                self._bucket.put(key, built.content, _GZIP)
            progress = Progress(
                files=(*progress.files, built.file),
                counts=Counter(progress.counts) + built.counts,
                after=built.after,
            )
            self._save(hour, token, progress)
            if self._now_seconds() > until:
                return None
        return progress

    def _next_file(self, hour: int, progress: Progress) -> _Built | None:
        """The file behind what is written; None when there are no more events."""
        writer = FileWriter(len(progress.files), max_events=self._max_events)
        counts: Counter[EventKind] = Counter()
        after = progress.after or Position(hour - 1, _LAST_ID)
        while room := writer.room:
            limit = min(PAGE, room)
            page = self._events.page(self._brand_id, after=after, before_ms=hour + HOUR_MS, limit=limit)
            self._add(writer, page)
            counts.update(event.kind for event in page)
            if page:
                after = Position(page[-1].recorded_ms, page[-1].id)
            if len(page) < limit:
                break
        if writer.empty:
            return None
        file, content = writer.close()
        return _Built(file, content, counts, after)

    def _add(self, writer: FileWriter, page: Sequence[Event]) -> None:
        for event, line in zip(page, write_lines(page, self._show(page), self._codes), strict=True):
            writer.add(line, event_id_text(event.id))

    def _finish(self, manifest: Manifest, token: str, progress: Progress) -> None:
        # Asked at the last moment before: who comes back after minutes must not replace a later manifest.
        self._save(manifest.hour, token, progress)
        content = manifests.encode(manifest)
        self._bucket.put(self._key(manifest.hour, MANIFEST), content, _JSON)
        self._note(manifest, content, token)
        self._tidy(manifest)
        log_event(
            log,
            INFO,
            "archive_hour_written",
            brand_id=self._brand_id,
            hour=hour_text(manifest.hour),
            events=manifest.events,
            files=len(manifest.files),
        )

    def _note(self, manifest: Manifest, content: bytes, token: str) -> None:
        """Raises:
        HourChanged: another run has taken over; it will do this.
        """
        if not self._state.done(manifest, hashlib.sha256(content).hexdigest(), token, clock.now()):
            raise HourChanged("claim")

    def _tidy(self, manifest: Manifest) -> None:
        """Take away the files of earlier runs that saw other bytes."""
        named = {self._key(manifest.hour, name) for name in (MANIFEST, *(file.name for file in manifest.files))}
        for key, _ in self._bucket.sizes(self._key(manifest.hour, "events-")):
            if key not in named:
                self._bucket.delete(key)

    def _save(self, hour: int, token: str, progress: Progress) -> None:
        if not self._state.save(self._brand_id, hour, token, progress, clock.now()):
            raise HourChanged("claim")

    def _key(self, hour: int, name: str) -> str:
        return hour_folder(self._prefix, self._brand_id, hour) + name


class _Built(NamedTuple):
    """A file that is ready to be sent."""

    file: ArchivedFile
    content: bytes
    counts: Counter[EventKind]
    after: Position
