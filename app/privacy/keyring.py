"""The keys of the deployment: master keys from the settings, and each brand's own, made on first use, stored wrapped.

Sealed forms are in `envelope`, address normalisation in `hashes`; the store is `app.storage.brand_keys`.
"""

from __future__ import annotations

import hmac
import itertools
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.errors import StoreUnavailable
from app.lib import clock
from app.lib.log import WARNING, log_event
from app.models.block import Channel
from app.models.brand_key import BrandKey, KeyKind
from app.privacy import hashes
from app.privacy.envelope import (
    KEY_BYTES,
    SealBroken,
    Sealer,
    batch_header,
    brand_header,
    context_of,
    key_number_of,
    master_key_id_of,
)
from app.privacy.key_wrap import MasterKeys

FIRST_KEY_NUMBER = 1
_KINDS = (KeyKind.DATA, KeyKind.INDEX)
"""Token keys are `token_keys`' matter."""


class BrandKeyStore(Protocol):
    """Where wrapped keys live."""

    def find(self, brand_id: str) -> Sequence[BrandKey]:
        """All keys of a brand that can no longer be lost (read with majority)."""

    def add(self, key: BrandKey) -> BrandKey:
        """Store the key unless its (brand, kind, number) is taken, and return the one that is stored now.

        Two processes that add at once get the same answer, and it is durable when they get it.
        """


_RENEW = timedelta(seconds=60)
"""So long a key that another process made may go unnoticed: until then the one before it seals."""
USED_FOR = timedelta(seconds=240)
"""Nothing is sealed with keys that were read longer ago: an old key can be retired when nobody still seals with it."""
_RETRY = timedelta(seconds=5)
_log = logging.getLogger("telltale.privacy")


@dataclass(slots=True)
class _BrandKeys:
    """A brand's keys, unwrapped; only ever in this process's memory."""

    turn: int
    """Counts the readings, so that an older one that took longer does not replace a newer one."""
    read_at: datetime
    renew_at: datetime
    current: Sealer
    by_number: Mapping[int, Sealer]
    index_key: bytes


class Keyring:
    """Seals, opens and hashes for brands, and seals batches for the deployment. Thread-safe; survives a fork.

    Args:
        master_keys: (key id, 32 bytes), newest first: the newest wraps new keys, all of them unwrap.
        store: where wrapped brand keys are.
        cache_size: brands whose unwrapped keys stay in memory.

    Raises:
        ConfigurationError: no master key, a wrong length, or an id that stands twice.
    """

    def __init__(
        self,
        master_keys: Sequence[tuple[str, bytes]],
        store: BrandKeyStore,
        *,
        cache_size: int = 4096,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._masters = MasterKeys(master_keys)
        self._batches = {key_id: _batch_sealer(key_id, key) for key_id, key in master_keys}
        self._store = store
        self._cache: dict[str, _BrandKeys] = {}
        self._cache_size = cache_size
        self._lock = threading.Lock()
        self._turns = itertools.count()
        self._now = now

    def seal(self, brand_id: str, purpose: str, plaintext: bytes, *, bound_to: bytes = b"") -> bytes:
        """Encrypt for one brand and purpose; the brand's first use makes its keys.

        Args:
            bound_to: whose value it is besides, of one length for all values of a purpose.

        Raises:
            StoreUnavailable: the brand's keys are not cached and cannot be read.
            ConfigurationError: they are wrapped by a master key that is not configured.
        """
        return self._for_sealing(brand_id).current.seal(plaintext, context_of(brand_id, purpose) + bound_to)

    def open(self, brand_id: str, purpose: str, sealed: bytes, *, bound_to: bytes = b"") -> bytes:
        """What `seal` was given. Never makes keys.

        Raises:
            SealBroken: sealed for another brand or purpose, changed, or sealed with a key that is gone.
            StoreUnavailable, ConfigurationError: as `seal`.
        """
        number = key_number_of(sealed)
        keys = self._cache.get(brand_id)
        if keys is None or number not in keys.by_number:
            # Perhaps another process has added a key since we looked.
            keys = self._load(brand_id)
        if keys is None or number not in keys.by_number:
            raise SealBroken("the key of this value does not exist")
        return keys.by_number[number].open(sealed, context_of(brand_id, purpose) + bound_to)

    def number_of(self, sealed: bytes) -> int:
        """Which of its brand's data keys sealed a value.

        Raises:
            SealBroken: not sealed by `seal`.
        """
        return key_number_of(sealed)

    def address_hash(self, brand_id: str, channel: Channel, address: str) -> str:
        """64 hex characters by which the brand's data about an address are found (`hashes.address_hash`).

        Raises:
            ValueError: the address is empty.
            StoreUnavailable, ConfigurationError: as `seal`.
        """
        keys = self._cache.get(brand_id) or self._load_or_create(brand_id)
        return hashes.address_hash(keys.index_key, channel, address)

    def keyed_hash(self, brand_id: str, data: bytes) -> bytes:
        """32 bytes by which something else than an address is found again; never equal to an address's hash.

        Raises:
            StoreUnavailable, ConfigurationError: as `seal`.
        """
        keys = self._cache.get(brand_id) or self._load_or_create(brand_id)
        # An address never begins with NUL, so the two uses of the index key cannot meet.
        return hmac.digest(keys.index_key, b"\0" + data, "sha256")

    def seal_batch(self, plaintext: bytes, purpose: str) -> bytes:
        """Encrypt what belongs to the deployment and not to a brand. Needs no store."""
        return self._batches[self._masters.newest].seal(plaintext, context_of("batch", purpose))

    def open_batch(self, sealed: bytes, purpose: str) -> bytes:
        """What `seal_batch` was given.

        Raises:
            SealBroken: sealed for another purpose, changed, or under a master key that is not configured.
        """
        sealer = self._batches.get(master_key_id_of(sealed))
        if sealer is None:
            raise SealBroken("sealed under a master key that is not configured")
        return sealer.open(sealed, context_of("batch", purpose))

    def refresh(self, brand_id: str) -> int:
        """Read the brand's keys now, making them if there are none. Answers the number of the one that seals.

        Raises:
            StoreUnavailable, ConfigurationError: as `seal`.
        """
        return max(self._load_or_create(brand_id).by_number)

    def _for_sealing(self, brand_id: str) -> _BrandKeys:
        keys = self._cache.get(brand_id)
        if keys is None:
            return self._load_or_create(brand_id)
        now = self._now()
        # A clock that was set back renews too. Threads that meet here may all read; it is once a minute and brand.
        fresh = keys.read_at - _RETRY <= now < keys.read_at + USED_FOR
        if fresh and now < keys.renew_at:
            return keys
        keys.renew_at = now + _RETRY
        try:
            return self._load_or_create(brand_id)
        except StoreUnavailable as error:
            if not fresh:
                raise
            log_event(_log, WARNING, "brand_keys_not_renewed", brand_id=brand_id, error=type(error).__name__)
            return keys

    def _load_or_create(self, brand_id: str) -> _BrandKeys:
        keys = self._load(brand_id)
        if keys is not None:
            return keys
        turn, read_at = next(self._turns), self._now()
        stored = [self._store.add(self._new_key(brand_id, kind)) for kind in _KINDS]
        return self._remember(brand_id, stored, turn, read_at)

    def _load(self, brand_id: str) -> _BrandKeys | None:
        turn, read_at = next(self._turns), self._now()
        stored = self._store.find(brand_id)
        kinds = {key.kind for key in stored}
        # A process may have died between adding one kind and the other; `_load_or_create` then adds what is missing.
        return self._remember(brand_id, stored, turn, read_at) if kinds >= set(_KINDS) else None

    def _remember(self, brand_id: str, stored: Sequence[BrandKey], turn: int, read_at: datetime) -> _BrandKeys:
        data = {key.number: key for key in stored if key.kind is KeyKind.DATA}
        index = next(key for key in stored if key.kind is KeyKind.INDEX)
        by_number = {number: Sealer(self._masters.unwrap(key), brand_header(number)) for number, key in data.items()}
        newest = by_number[max(by_number)]
        keys = _BrandKeys(turn, read_at, read_at + _RENEW, newest, by_number, self._masters.unwrap(index))
        with self._lock:
            known = self._cache.pop(brand_id, None)
            if known is not None and known.turn > turn:
                keys = known
            while len(self._cache) >= self._cache_size:
                del self._cache[next(iter(self._cache))]
            self._cache[brand_id] = keys
        return keys

    def _new_key(self, brand_id: str, kind: KeyKind) -> BrandKey:
        return self._masters.wrap(brand_id, kind, FIRST_KEY_NUMBER, os.urandom(KEY_BYTES), self._now())


def _batch_sealer(key_id: str, master_key: bytes) -> Sealer:
    """A key of its own for batches, so that no AES key serves two uses (HKDF, RFC 5869)."""
    derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"telltale batch v1").derive(master_key)
    return Sealer(derived, batch_header(key_id))
