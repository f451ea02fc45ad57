"""The files of the lists: those shipped with this version, and newer ones in the state folder, which win."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from app.ingest.networks.catalogue import KINDS
from app.ingest.networks.list_file import ListRefused, NetworkList, list_text, read_list
from app.ingest.networks.ranges import Span
from app.ingest.networks.table import Table

SHIPPED = Path(__file__).parent / "data"


class Busy(Exception):
    """Another process is refreshing this folder."""


def shipped_lists() -> dict[str, NetworkList]:
    """Raises:
    OSError, ListRefused: the package is damaged.
    """
    return {name: _read(name, file_of(name, SHIPPED)) for name in KINDS}


def lists_in(folder: Path) -> tuple[dict[str, NetworkList], dict[str, str]]:
    """The lists of a state folder by name, and for each file that cannot be used why not.

    In place of such a file stands the one before it, if that is there: so every process comes to the same lists.
    """
    found: dict[str, NetworkList] = {}
    faults: dict[str, str] = {}
    for name in KINDS:
        networks, why = _tried(name, file_of(name, folder))
        if why:
            faults[name] = why
            networks, _ = _tried(name, previous_of(name, folder))
        if networks is not None:
            found[name] = networks
    return found, faults


def newest(shipped: Mapping[str, NetworkList], installed: Mapping[str, NetworkList]) -> dict[str, NetworkList]:
    """Of each list the one to use: an update of the package may bring a later one than the last refresh."""
    return {
        name: max(of_name, key=lambda one: one.date)
        for name in KINDS
        if (of_name := [lists[name] for lists in (shipped, installed) if name in lists])
    }


def table_of(lists: Iterable[NetworkList]) -> Table:
    """One look-up over all of them."""
    spans: dict[int, list[Span]] = {}
    for one in lists:
        spans.setdefault(KINDS[one.name].bit, []).extend(one.spans)
    return Table(spans)


def file_of(name: str, folder: Path) -> Path:
    return folder / f"{name}.txt"


def previous_of(name: str, folder: Path) -> Path:
    """What was there before the last refresh."""
    return folder / f"{name}.previous"


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Be the only one who writes to a folder, which is made if need be.

    Raises:
        Busy: somebody else is.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy from error
        yield
    finally:
        os.close(descriptor)


def install(networks: NetworkList, folder: Path) -> None:
    """Replace a list, inside `claimed`; what was there stays beside it as `previous_of`.

    Killed at any moment it leaves the old list or the new one, never a part.

    Raises:
        OSError: it cannot be written.
    """
    path = file_of(networks.name, folder)
    current, _ = _tried(networks.name, path)
    if current is not None:
        _replace(previous_of(networks.name, folder), list_text(current).encode())
    _replace(path, list_text(networks).encode())


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _tried(name: str, path: Path) -> tuple[NetworkList | None, str]:
    """The list or why there is none; neither when there is no file."""
    try:
        return _read(name, path), ""
    except FileNotFoundError:
        return None, ""
    except ListRefused as error:
        return None, str(error)
    except OSError as error:
        return None, f"it cannot be read ({type(error).__name__})"


def _read(name: str, path: Path) -> NetworkList:
    networks = read_list(path)
    if networks.name != name:
        raise ListRefused(f"it is the list {networks.name[:40]!a}")
    return networks
