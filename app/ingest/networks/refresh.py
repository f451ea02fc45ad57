"""From what vendors publish to lists that may be installed. Which, and whether, `refusals` says."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from app.ingest.networks.catalogue import AS_LICENCE, AS_SOURCE, AS_TABLE, Kind
from app.ingest.networks.fetch import Fetched, FetchFailed, NotThere, from_folder, from_web
from app.ingest.networks.list_file import NetworkList, Origin, network_list
from app.ingest.networks.vendor_formats import Parsed, of_systems


def fetched(kinds: Collection[Kind], mirror: str | None, deadline_seconds: float) -> Fetched:
    """The files of some lists.

    Args:
        mirror: a folder, or the URL of one, that has the files under the names of the catalogue.
    """
    published = {name: url for kind in kinds for name, url in kind.files.items()}
    if mirror is None:
        return from_web(published, deadline_seconds)
    names = {*published, *(AS_TABLE if any(kind.systems for kind in kinds) else ())}
    if mirror.startswith(("http://", "https://")):
        found = from_web({name: f"{mirror.rstrip('/')}/{name}" for name in sorted(names)}, deadline_seconds)
        return {name: content for name, content in found.items() if not isinstance(content, NotThere)}
    return from_folder(names, Path(mirror))


def list_of(kind: Kind, files: Fetched, now: datetime, table_version: str) -> NetworkList | None:
    """The list that the files make; None when they have nothing for it.

    Args:
        table_version: what the table of all systems calls itself, if they have one; it is not in its files.

    Raises:
        FetchFailed: a file of it was not had.
        app.ingest.networks.list_file.ListRefused: they are not as published, or the list is wrong in itself.
    """
    if kind.parse is not None and kind.files.keys() <= files.keys():
        parsed = kind.parse({name: _content(files, name) for name in kind.files})
        return network_list(
            kind.name, _origin(parsed, now, ", ".join(kind.files.values()), kind.licence), now, parsed.spans
        )
    if kind.systems and files.keys() >= set(AS_TABLE):
        spans = of_systems([_content(files, name) for name in AS_TABLE], kind.systems)
        parsed = Parsed(table_version, spans)
        return network_list(kind.name, _origin(parsed, now, AS_SOURCE, AS_LICENCE), now, parsed.spans)
    return None


def _origin(parsed: Parsed, now: datetime, source: str, licence: str) -> Origin:
    version = "".join(char for char in parsed.version if " " < char <= "~")[:40]
    return Origin(version or now.date().isoformat(), source, licence)


def _content(files: Fetched, name: str) -> bytes:
    content = files[name]
    if isinstance(content, FetchFailed):
        raise FetchFailed(f"{name}: {content}")
    return content
