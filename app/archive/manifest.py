"""The manifest of an hour as JSON: the same hour gives the same bytes, so it carries no time of writing."""

from __future__ import annotations

from typing import Any

import orjson

from app.archive.hours import hour_text
from app.archive.lines import UnreadableArchive
from app.lib import clock
from app.models.archive import HOUR_MS, ArchivedFile, Manifest
from app.models.event import PUBLIC_KINDS

VERSION = 1
MAX_BYTES = 4 * 1024 * 1024
_KINDS = {kind.public_type: kind for kind in PUBLIC_KINDS}


def encode(manifest: Manifest) -> bytes:
    files = manifest.files
    shown: dict[str, Any] = {
        "version": VERSION,
        "brand_id": manifest.brand_id,
        "hour": hour_text(manifest.hour),
        "recorded_from": clock.rfc3339(clock.from_ms(manifest.hour)),
        "recorded_before": clock.rfc3339(clock.from_ms(manifest.hour + HOUR_MS)),
        "events": manifest.events,
        "counts": {kind.public_type: manifest.counts[kind] for kind in PUBLIC_KINDS if manifest.counts.get(kind)},
        "first_id": files[0].first_id if files else None,
        "last_id": files[-1].last_id if files else None,
        "files": [
            {
                "name": file.name,
                "events": file.events,
                "bytes": file.size,
                "sha256": file.sha256,
                "first_id": file.first_id,
                "last_id": file.last_id,
            }
            for file in files
        ],
    }
    return orjson.dumps(shown, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def decode(raw: bytes, brand_id: str, hour: int) -> Manifest:
    """Raises:
    UnreadableArchive: not a manifest, or of another brand or hour.
    """
    try:
        shown = orjson.loads(raw)
        if (shown["version"], shown["brand_id"], shown["hour"]) != (VERSION, brand_id, hour_text(hour)):
            raise UnreadableArchive(f"the manifest of {hour_text(hour)} is of another hour, brand or version")
        manifest = Manifest(
            brand_id=brand_id,
            hour=hour,
            counts={_KINDS[name]: int(number) for name, number in shown["counts"].items()},
            files=tuple(_file(file) for file in shown["files"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableArchive(f"the manifest of {hour_text(hour)} cannot be read ({type(error).__name__})") from None
    if manifest.events != sum(file.events for file in manifest.files):
        raise UnreadableArchive(f"the manifest of {hour_text(hour)} contradicts itself")
    return manifest


def _file(shown: dict[str, Any]) -> ArchivedFile:
    name = str(shown["name"])
    if "/" in name:
        raise ValueError("a file outside of the hour's folder")
    return ArchivedFile(
        name=name,
        events=int(shown["events"]),
        size=int(shown["bytes"]),
        sha256=str(shown["sha256"]),
        first_id=str(shown["first_id"]),
        last_id=str(shown["last_id"]),
    )
