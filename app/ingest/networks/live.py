"""The lists as this process sees them now: loaded once, then live-reloaded from whatever look-up comes."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from app.ingest.networks.catalogue import KINDS
from app.ingest.networks.folder import file_of, lists_in, newest, shipped_lists, table_of
from app.ingest.networks.table import Table
from app.lib.files import FileSignature, file_signature
from app.lib.log import ERROR, INFO, log_event, log_failure

CHECK_SECONDS = 5.0
"""How often the files are looked at: one `stat` per list, from whatever call comes first after that time."""

_log = logging.getLogger("telltale.networks")


class _Snapshot(NamedTuple):
    """Replaced as a whole, so that look-ups need no lock."""

    table: Table
    version: str
    faults: Mapping[str, str]


class Networks:
    """Whose network an address is in.

    A file that cannot be used is refused alone: the list before it is used, and one error is logged. So a look-up never
    fails, whatever lies in the folder.

    Args:
        folder: where refreshed lists are; None for only the shipped ones.
        monotonic: seconds; decides when the next look at the files is due.

    Raises:
        OSError, ValueError: from the constructor, when the shipped lists are damaged.
    """

    def __init__(self, folder: Path | None = None, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._watched: dict[str, FileSignature | None] = {}
        self._snapshot = self._load()
        self._next_check = monotonic() + CHECK_SECONDS

    def look_up(self) -> Callable[[int, int], int]:
        """`of` for many: a function of the family and number that `parse_address` gives, with the lists of now."""
        return self._current().table.bits_at

    def of(self, address: str) -> int:
        """Bits of `app.models.signals`: 0 for what is no public address, else PUBLIC_ADDRESS with what it is in."""
        return self._current().table.bits(address)

    @property
    def version(self) -> str:
        """Hex, 16 characters: changes with the lists in use."""
        return self._current().version

    @property
    def faults(self) -> Mapping[str, str]:
        """Lists of the folder that are not used, and why."""
        return self._current().faults

    def _current(self) -> _Snapshot:
        # Whoever comes while another thread reloads goes on with the lists there are.
        if self._folder is not None and self._monotonic() >= self._next_check and self._lock.acquire(blocking=False):
            try:
                self._next_check = self._monotonic() + CHECK_SECONDS
                if self._watched != _signatures(self._folder):
                    self._snapshot = self._load()
            except (OSError, ValueError) as error:
                log_failure(_log, "networks_not_loaded", error, version_kept=self._snapshot.version)
            finally:
                self._lock.release()
        return self._snapshot

    def _load(self) -> _Snapshot:
        lists, faults = shipped_lists(), dict[str, str]()
        if self._folder is not None:
            # Taken before reading: a file written meanwhile is then seen as changed next time.
            self._watched = _signatures(self._folder)
            installed, faults = lists_in(self._folder)
            lists = newest(lists, installed)
        for name in faults:
            log_event(_log, ERROR, "network_list_refused", list=name, version_used=lists[name].origin.version)
        text = "\n".join(f"{one.name} {one.origin.version} {one.date.isoformat()}" for one in lists.values())
        version = hashlib.sha256(text.encode()).hexdigest()[:16]
        log_event(_log, INFO, "networks_loaded", version=version, ranges=sum(len(one.spans) for one in lists.values()))
        return _Snapshot(table_of(lists.values()), version, faults)


def _signatures(folder: Path) -> dict[str, FileSignature | None]:
    return {name: file_signature(file_of(name, folder)) for name in KINDS}
