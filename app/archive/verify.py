"""Holds an archived hour against itself and MongoDB: manifest, files in the bucket, events that are stored."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping

from app.archive import manifest as manifests
from app.archive.files import read_gzip_lines
from app.archive.hours import MANIFEST, hour_folder
from app.archive.lines import Codes, UnreadableArchive, read_line
from app.archive.ports import Bucket, Events, State
from app.lib.ids import event_id_text
from app.models.archive import HOUR_MS, ArchivedFile, ArchivePlace, Manifest
from app.models.event import EventKind


class Verifier:
    """For one brand.

    Args:
        kept_since: kind → from which millisecond on MongoDB still has all events of it; before that it is not asked.
    """

    def __init__(
        self,
        brand_id: str,
        place: ArchivePlace,
        *,
        bucket: Bucket,
        events: Events,
        state: State,
        codes: Codes,
        kept_since: Mapping[EventKind, int],
    ) -> None:
        self._brand_id = brand_id
        self._prefix = place.prefix
        self._bucket = bucket
        self._events = events
        self._state = state
        self._codes = codes
        self._kept_since = kept_since

    def verify(self, hour: int, *, quick: bool = False) -> Iterator[str]:
        """What is wrong with an hour, a sentence each; nothing when all is well.

        Args:
            quick: files by name and size only, without reading them.

        Raises:
            BucketUnavailable, BucketRefused, StoreUnavailable: not known.
        """
        folder = hour_folder(self._prefix, self._brand_id, hour)
        raw = self._bucket.get(folder + MANIFEST)
        if raw is None:
            yield "there is no manifest"
            return
        try:
            manifest = manifests.decode(raw, self._brand_id, hour)
        except UnreadableArchive as error:
            yield str(error)
            return
        known = self._state.of_hour(self._brand_id, hour)
        if known is None:
            yield "MongoDB does not know that this hour is archived"
        elif known.manifest_sha256 != hashlib.sha256(raw).hexdigest():
            yield "the manifest is not the one that was written"
        yield from self._files(folder, manifest, quick=quick)
        yield from self._counts(manifest)

    def _files(self, folder: str, manifest: Manifest, *, quick: bool) -> Iterator[str]:
        sizes = {key.removeprefix(folder): size for key, size in self._bucket.sizes(folder)}
        found: Counter[EventKind] = Counter()
        whole = not quick
        for file in manifest.files:
            size = sizes.get(file.name)
            if size != file.size:
                whole = False
                yield f"{file.name} is missing" if size is None else f"{file.name} has {size} bytes, not {file.size}"
            elif not quick:
                try:
                    found += self._read(folder, file)
                except UnreadableArchive as error:
                    whole = False
                    yield f"{file.name}: {error}"
        for name in sorted(sizes.keys() - {MANIFEST, *(file.name for file in manifest.files)}):
            yield f"{name} is in no manifest"
        if whole and found != Counter(manifest.counts):
            yield "the files do not have the events that the manifest counts"

    def _read(self, folder: str, file: ArchivedFile) -> Counter[EventKind]:
        content = self._bucket.get(folder + file.name)
        if content is None or hashlib.sha256(content).hexdigest() != file.sha256:
            raise UnreadableArchive("its content is not what was written")
        counts: Counter[EventKind] = Counter()
        first = last = b""
        for line in read_gzip_lines(content):
            event = read_line(line, self._brand_id, self._codes)
            counts[event.kind] += 1
            first, last = first or event.id, event.id
        ends = (event_id_text(first), event_id_text(last)) if last else ("", "")
        if (counts.total(), *ends) != (file.events, file.first_id, file.last_id):
            raise UnreadableArchive("it does not have the events that the manifest says")
        return counts

    def _counts(self, manifest: Manifest) -> Iterator[str]:
        stored = self._events.counts(self._brand_id, manifest.hour, manifest.hour + HOUR_MS)
        for kind, since in self._kept_since.items():
            archived, there = manifest.counts.get(kind, 0), stored[kind]
            if manifest.hour >= since and archived != there:
                yield f"{kind.public_type}: {archived} in the archive, {there} in MongoDB"
