"""The brands' token keys: in memory for opening, made and replaced in the store. The tokens are `app.tracking.tokens`.

Opening must not wait for a store, so each process holds the keys of all brands (a few hundred bytes each) and a thread
of its own renews them. The keys also stand, wrapped, in a file for the process that starts while MongoDB is away.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from app.errors import ConfigurationError, StoreUnavailable
from app.lib import clock
from app.lib.log import ERROR, WARNING, log_event, log_failure
from app.models.brand_key import BrandKey, KeyKind
from app.privacy.key_wrap import MasterKeys
from app.privacy.refresher import Refresher
from app.privacy.token_key_file import TokenKeyFile
from app.tracking.tokens import (
    KEY_BYTES,
    MAX_KEY_NUMBER,
    TokenContent,
    TokenKey,
    TokenPurpose,
    key_number_of,
    open_sealed,
    seal_token,
    unpack,
)

_log = logging.getLogger("telltale.privacy")

_LOOK_SECONDS = 1.0
"""At most one look at the store for each brand in this time, whatever number of tokens asks for it."""
_WAIT_SECONDS = 0.5
"""How long opening may wait for that look; a healthy store answers in a few milliseconds."""


class TokenKeyStore(Protocol):
    """Where wrapped keys live."""

    def find_all(self, kind: KeyKind) -> Sequence[BrandKey]: ...
    def add(self, key: BrandKey) -> BrandKey: ...
    def remove(self, brand_id: str, kind: KeyKind, number: int) -> bool: ...


class Refusal(StrEnum):
    """Why a token does not open; for metrics, never for whoever sent it."""

    MALFORMED = "malformed"
    """Not the form of a token at all."""
    UNKNOWN_KEY = "unknown_key"
    """Its key is retired, or never existed."""
    NOT_OURS = "not_ours"
    """Forged, changed, or made for another brand or purpose."""


@dataclass(frozen=True, slots=True)
class TokenKeyInfo:
    """What may be shown of a key."""

    brand_id: str
    number: int
    master_key_id: str
    created_at: datetime
    current: bool
    """Whether new tokens are made with it."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """All keys at one moment. Replaced as a whole, so readers need no lock."""

    rows: tuple[BrandKey, ...] = ()
    keys: Mapping[tuple[str, int], TokenKey] = field(default_factory=dict, repr=False)
    newest: Mapping[str, int] = field(default_factory=dict)


class TokenKeys:
    """Opens and seals tokens. Thread-safe; make it after any fork.

    Args:
        master_keys: (key id, 32 bytes), newest first.
        store: where wrapped keys are.
        cache_file: where this machine keeps the last known keys; None for none.
        refresh_seconds: after this time at most, a key that another process made or retired is known here.

    Raises:
        ConfigurationError: the master keys cannot work.
    """

    def __init__(
        self,
        master_keys: Sequence[tuple[str, bytes]],
        store: TokenKeyStore,
        cache_file: Path | None = None,
        *,
        refresh_seconds: float = 10.0,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._masters = MasterKeys(master_keys)
        self._store = store
        self._file = TokenKeyFile(cache_file) if cache_file is not None else None
        self._now = now
        self._snapshot = _Snapshot()
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._looked_for: dict[str, tuple[int, float]] = {}
        """By brand of brands.yaml, the key number for which a token last had us look at the store, and when."""
        self._refresher = Refresher(self._try_refresh, refresh_seconds)

    def load(self) -> None:
        """Have keys before the first token comes: from the file at once, else from the store, in its time limit.

        Never raises for a store that is away: the tokens of keys that are not known are refused until it answers.
        """
        if self._file is not None:
            try:
                self._replace(self._file.read())
            except (OSError, ValueError) as error:
                log_failure(_log, "token_key_file_unreadable", error)
        if not self._snapshot.rows:
            self._try_refresh()
        self._refresher.start()

    def open(self, brand_id: str, purpose: TokenPurpose, token: str) -> TokenContent | None:
        """What was sealed for this brand and purpose; None for everything else. See `check`."""
        found = self.check(brand_id, purpose, token)
        return found if isinstance(found, TokenContent) else None

    def check(self, brand_id: str, purpose: TokenPurpose, token: str) -> TokenContent | Refusal:
        """As `open`, with the reason when there is nothing.

        From memory. One case looks at the store: a key number that would be the brand's next, which is what a token
        carries whose key was made in the last few seconds. That is at most one look a second and brand in this
        process, waited for half a second, and not at all while the store does not answer: a flood of forged
        numbers costs next to nothing.
        """
        self._refresher.start()
        found, number = self._check(brand_id, purpose, token)
        if found is Refusal.UNKNOWN_KEY and number == self._newest(brand_id) + 1 and self._look(brand_id, number):
            found, _ = self._check(brand_id, purpose, token)
        return found

    def open_recorded(self, hits: Sequence[tuple[str, TokenPurpose, str]]) -> list[TokenContent | None]:
        """As `open` for each (brand id, purpose, token), when a hit must not be lost because a key is new.

        One look at the store at most, for as many hits as there are: whoever accepted them knew their keys by then.

        Raises:
            StoreUnavailable: a key is newer than those that are known here, and the store does not answer.
            ConfigurationError: a key is there and cannot be unwrapped here: whoever accepted the hit could.
        """
        found = [self._check(*hit) for hit in hits]
        if any(
            answer is Refusal.UNKNOWN_KEY and number > self._newest(hit[0])
            for (answer, number), hit in zip(found, hits, strict=True)
        ):
            self.refresh()
            found = [self._check(*hit) for hit in hits]
        for hit, (answer, number) in zip(hits, found, strict=True):
            if answer is Refusal.UNKNOWN_KEY and self._is_stored(hit[0], number):
                raise ConfigurationError(f"brand {hit[0]}: its token key {number} cannot be unwrapped")
        return [answer if isinstance(answer, TokenContent) else None for answer, _ in found]

    def seal_many(self, brand_id: str, purpose: TokenPurpose, contents: Iterable[TokenContent]) -> list[str]:
        """Tokens under the brand's newest key; the brand's first use makes it.

        Raises:
            ContentRefused: a content is not one of this purpose.
            StoreUnavailable: the brand has no key here and the store does not answer.
            ConfigurationError: the brand's newest key is wrapped by a master key that is not configured.
        """
        key = self._current(brand_id)
        return [seal_token(key, brand_id, purpose, content) for content in contents]

    def export(self, brand_id: str) -> tuple[int, bytes]:
        """Number and bytes of the brand's newest key, made when there is none: for the brand's own sender.

        Raises:
            StoreUnavailable, ConfigurationError: as `seal_many`.
        """
        self.refresh()
        row = self._newest_row(brand_id) or self._add(brand_id, 1)
        return row.number, self._masters.unwrap(row)

    def rotate(self, brand_id: str) -> int:
        """Make a new key, which seals from now on here and within a second elsewhere; all older ones still open.

        Returns:
            The number of the new key.

        Raises:
            StoreUnavailable: nothing is changed, or only nobody knows it yet.
            ConfigurationError: the brand has had all the keys there can be.
        """
        self.refresh()
        return self._add(brand_id, self._newest(brand_id) + 1).number

    def retire(self, brand_id: str, number: int) -> bool:
        """End a key for good: its tokens open nowhere any more, within `refresh_seconds`. False when there is none.

        Raises:
            ValueError: it is the newest, which seals: rotate first.
            StoreUnavailable: it may or may not be gone; ask again.
        """
        self.refresh()
        if number == self._newest(brand_id):
            raise ValueError("the newest key seals new tokens; rotate first")
        removed = self._store.remove(brand_id, KeyKind.TOKEN, number)
        self.refresh()
        return removed

    def keys_of(self, brand_id: str | None = None) -> list[TokenKeyInfo]:
        """The keys of a brand, or of all, oldest first, as the store has them now.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        self.refresh()
        snapshot = self._snapshot
        return [
            TokenKeyInfo(
                row.brand_id,
                row.number,
                row.master_key_id,
                row.created_at,
                current=row.number == snapshot.newest[row.brand_id],
            )
            for row in sorted(snapshot.rows, key=lambda row: (row.brand_id, row.number))
            if brand_id in (None, row.brand_id)
        ]

    def refresh(self) -> None:
        """Take over what the store has now.

        Raises:
            StoreUnavailable: the store does not answer; what is known here stays.
        """
        # Asking and taking over are one step: an older answer must not bring a retired key back.
        with self._lock:
            self._asked_at = time.monotonic()
            self._replace(self._store.find_all(KeyKind.TOKEN))
            self._write_file()

    def close(self) -> None:
        """End the thread."""
        self._refresher.close()

    def _check(self, brand_id: str, purpose: TokenPurpose, token: str) -> tuple[TokenContent | Refusal, int]:
        """What the token says, or why not, and the number of its key (0 when it has none)."""
        sealed = unpack(token)
        if sealed is None:
            return Refusal.MALFORMED, 0
        number = key_number_of(sealed)
        key = self._snapshot.keys.get((brand_id, number))
        if key is None:
            return Refusal.UNKNOWN_KEY, number
        return open_sealed(key, brand_id, purpose, sealed) or Refusal.NOT_OURS, number

    def _look(self, brand_id: str, number: int) -> bool:
        """Have the store asked now, and wait a moment for it; False when that is not worth it."""
        now = time.monotonic()
        last_number, last_at = self._looked_for.get(brand_id, (0, 0.0))
        # The number asked for only changes when the brand really has a new key.
        if last_number == number and now - last_at < _LOOK_SECONDS:
            return False
        self._looked_for[brand_id] = (number, now)
        return self._refresher.ask(_WAIT_SECONDS)

    def _current(self, brand_id: str) -> TokenKey:
        if time.monotonic() - self._asked_at > _LOOK_SECONDS:
            # A key that was rotated away elsewhere, and perhaps retired since, must not seal for long.
            self._try_refresh()
        number = self._newest(brand_id)
        if not number:
            self.refresh()
            number = self._newest(brand_id) or self._add(brand_id, 1).number
        key = self._snapshot.keys.get((brand_id, number))
        if key is None:
            raise ConfigurationError(f"brand {brand_id}: its token key {number} cannot be unwrapped")
        return key

    def _add(self, brand_id: str, number: int) -> BrandKey:
        if number > MAX_KEY_NUMBER:
            raise ConfigurationError(f"brand {brand_id}: there are no more numbers for token keys")
        key = self._masters.wrap(brand_id, KeyKind.TOKEN, number, os.urandom(KEY_BYTES), self._now())
        # Two at once: both get the one that is stored.
        stored = self._store.add(key)
        self.refresh()
        return stored

    def _is_stored(self, brand_id: str, number: int) -> bool:
        return any((row.brand_id, row.number) == (brand_id, number) for row in self._snapshot.rows)

    def _newest_row(self, brand_id: str) -> BrandKey | None:
        rows = [row for row in self._snapshot.rows if row.brand_id == brand_id]
        return max(rows, key=lambda row: row.number, default=None)

    def _newest(self, brand_id: str) -> int:
        return self._snapshot.newest.get(brand_id, 0)

    def _try_refresh(self) -> bool:
        try:
            self.refresh()
        except StoreUnavailable as error:
            log_event(_log, WARNING, "token_keys_not_refreshed", error=type(error).__name__)
            return False
        except Exception as error:  # noqa: BLE001 - what is known stays useful, and the thread must live
            log_failure(_log, "token_keys_not_refreshed", error)
            return False
        return True

    def _replace(self, rows: Sequence[BrandKey]) -> None:
        old = self._snapshot
        if tuple(rows) == old.rows:
            return
        known = {row: old.keys.get((row.brand_id, row.number)) for row in old.rows}
        keys: dict[tuple[str, int], TokenKey] = {}
        newest: dict[str, int] = {}
        for row in rows:
            newest[row.brand_id] = max(row.number, newest.get(row.brand_id, 0))
            key = known.get(row) or self._unwrapped(row)
            if key is not None:
                keys[row.brand_id, row.number] = key
        self._snapshot = _Snapshot(tuple(rows), keys, newest)

    def _unwrapped(self, row: BrandKey) -> TokenKey | None:
        try:
            return TokenKey(row.number, self._masters.unwrap(row))
        except (ConfigurationError, ValueError):
            # One brand's damage must not close the links of all others.
            log_event(_log, ERROR, "token_key_unusable", brand_id=row.brand_id, number=row.number)
            return None

    def _write_file(self) -> None:
        if self._file is None:
            return
        try:
            self._file.write(self._snapshot.rows)
        except OSError as error:
            log_failure(_log, "token_key_file_unwritable", error)
