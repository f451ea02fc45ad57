"""Replacing brands' keys while everything runs.

    rotate   a new data key wraps and seals from now on; all older ones still open. Nothing is rewritten.
    rewrap   persons' keys are wrapped anew (63 bytes each), blocks and endpoints sealed anew, messages from before
             persons had keys get them. In small batches, each a conditional write: it may be killed, repeated, and run
             twice at once.
    retire   an old key is deleted when nothing needs it any more.

Persons' data are not touched: their own keys (`recipients`) stay the same. Token keys are `token_keys`' matter.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, Protocol

from app.errors import ConfigurationError, PermanentError
from app.lib import clock
from app.lib.log import INFO, WARNING, log_event
from app.models.brand_key import BrandKey, KeyKind
from app.models.recipient_key import RecipientKey
from app.models.sealed import SealedField
from app.privacy.envelope import KEY_BYTES
from app.privacy.key_wrap import MasterKeys
from app.privacy.keyring import USED_FOR, Keyring
from app.privacy.recipients import Vault

SETTLED_AFTER = USED_FOR + timedelta(seconds=360)
"""When every process seals with a new key, and what was sealed with the one before has been written: the longest time
limit of a store is 30 s, clocks may differ by minutes."""
MAX_DATA_KEYS = 200
_BATCH = 500
_log = logging.getLogger("telltale.privacy")

Progress = Callable[[str, int], None]
"""Called after each batch with what it was (`recipient_keys`, `blocks`, …) and how many are done."""


class KeyInUse(PermanentError):
    """The key cannot be retired (now). The text says why and names no person."""


class BrandKeyStore(Protocol):
    """Where the brands' wrapped keys live."""

    def find(self, brand_id: str) -> Sequence[BrandKey]: ...
    def find_all(self, kind: KeyKind) -> Sequence[BrandKey]: ...
    def add(self, key: BrandKey) -> BrandKey: ...
    def renew(self, old: BrandKey, new: BrandKey) -> bool: ...
    def remove(self, brand_id: str, kind: KeyKind, number: int) -> bool: ...


class RecipientKeys(Protocol):
    """Persons' keys, which a data key wraps."""

    def older(self, brand_id: str, key_number: int, limit: int) -> list[RecipientKey]: ...
    def renew(self, keys: Sequence[tuple[RecipientKey, RecipientKey]]) -> int: ...
    def count_under(self, brand_id: str, key_number: int) -> int: ...


class SealedFields(Protocol):
    """Documents with a field that a data key seals."""

    @property
    def purpose(self) -> str: ...
    def older(self, brand_id: str, key_number: int, limit: int) -> list[SealedField]: ...
    def renew(self, fields: Sequence[tuple[SealedField, SealedField]]) -> int: ...
    def count_under(self, brand_id: str, key_number: int) -> int: ...


class Counted(Protocol):
    """Documents that live too briefly to be rewritten: waited for."""

    def count_under(self, brand_id: str, key_number: int) -> int: ...


@dataclass(frozen=True, slots=True)
class Stores:
    brand_keys: BrandKeyStore
    recipient_keys: RecipientKeys
    blocks: SealedFields
    endpoints: SealedFields
    messages: SealedFields
    deliveries: Counted


class _Step(NamedTuple):
    name: str
    store: Any
    """`RecipientKeys` or `SealedFields`; what its `older` gives, `renew` takes."""
    renew: Callable[[Sequence[Any]], list[Any]]


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A brand's key, and who would miss it."""

    brand_id: str
    kind: KeyKind
    number: int
    master_key_id: str
    created_at: datetime
    current: bool
    needed_by: Mapping[str, int] | None
    """Collection → documents that do not open without it; None when nobody can know (tokens are out in the world).
    Empty for an index key: address hashes need it for ever."""


class Rotation:
    """One per process; it holds no state.

    Args:
        master_keys: (key id, 32 bytes), newest first.
    """

    def __init__(
        self,
        master_keys: Sequence[tuple[str, bytes]],
        keyring: Keyring,
        vault: Vault,
        stores: Stores,
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._masters = MasterKeys(master_keys)
        self._keyring = keyring
        self._vault = vault
        self._stores = stores
        self._now = now

    def rotate(self, brand_id: str) -> int:
        """Give a brand a new data key: used here at once, within a minute everywhere. Answers its number.

        Raises:
            StoreUnavailable: perhaps it is made.
            KeyInUse: the brand has too many keys; retire old ones first.
        """
        numbers = [key.number for key in self._data_keys(brand_id)]
        if len(numbers) >= MAX_DATA_KEYS:
            raise KeyInUse(f"brand {brand_id} has {len(numbers)} data keys; rewrap and retire old ones first")
        number = max(numbers, default=0) + 1
        key = self._masters.wrap(brand_id, KeyKind.DATA, number, os.urandom(KEY_BYTES), self._now())
        # Two at once: both get the one that is stored.
        self._stores.brand_keys.add(key)
        self._keyring.refresh(brand_id)
        log_event(_log, INFO, "brand_key_rotated", brand_id=brand_id, number=number)
        return number

    def rewrap(self, brand_id: str, progress: Progress = lambda _what, _done: None) -> dict[str, int]:
        """Move everything that an older data key wraps or seals to the newest.

        For a minute after a rotation, other processes may still use the older one: what they store in that time is
        left for the next call.

        Returns:
            collection → documents changed.

        Raises:
            StoreUnavailable: call again; what is done stays done.
        """
        number = self._keyring.refresh(brand_id)
        return {
            step.name: self._renew_all(brand_id, number, step, progress)
            for step in (
                _Step("recipient_keys", self._stores.recipient_keys, self._rewrapped),
                _Step("blocks", self._stores.blocks, partial(self._resealed, self._stores.blocks.purpose)),
                _Step("endpoints", self._stores.endpoints, partial(self._resealed, self._stores.endpoints.purpose)),
                _Step("messages", self._stores.messages, self._under_persons_keys),
            )
        }

    def retire(self, brand_id: str, number: int) -> None:
        """Delete an old data key that nothing needs. What it wrapped or sealed would never open again.

        Raises:
            KeyInUse: it is the newest, it is needed, or too little time has passed to be sure.
            StoreUnavailable: perhaps it is deleted.
        """
        keys = {key.number: key for key in self._data_keys(brand_id)}
        if number not in keys:
            raise KeyInUse(f"brand {brand_id} has no data key {number}")
        newest = keys[max(keys)]
        if number == newest.number:
            raise KeyInUse(f"data key {number} is the newest of brand {brand_id}; rotate first")
        # The next one took over from it: until all processes know that, a count of zero means nothing.
        after = min(other for other in keys if other > number)
        if self._now() < keys[after].created_at + SETTLED_AFTER:
            ready = clock.rfc3339(keys[after].created_at + SETTLED_AFTER)
            raise KeyInUse(f"other processes may still use data key {number} of brand {brand_id} until {ready}")
        needed = {name: count for name, count in self._needed_by(brand_id, number).items() if count}
        if needed:
            listed = ", ".join(f"{count} {name}" for name, count in needed.items())
            raise KeyInUse(f"data key {number} of brand {brand_id} is needed by {listed}")
        self._stores.brand_keys.remove(brand_id, KeyKind.DATA, number)
        self._keyring.refresh(brand_id)
        log_event(_log, INFO, "brand_key_retired", brand_id=brand_id, number=number)

    def rewrap_brand_keys(self, progress: Progress = lambda _what, _done: None) -> int:
        """Wrap all brands' keys under the newest master key. Answers how many were changed.

        After that no brand's key needs an older master key. Batches on the broker and dead letters still may: those
        are sealed under a key derived from the master key, and pass by themselves.

        Raises:
            ConfigurationError: a key is wrapped by a master key that is not configured.
            StoreUnavailable: call again; what is done stays done.
        """
        changed = 0
        for kind in KeyKind:
            for key in self._stores.brand_keys.find_all(kind):
                if key.master_key_id == self._masters.newest:
                    continue
                plain = self._masters.unwrap(key)
                new = self._masters.wrap(key.brand_id, kind, key.number, plain, key.created_at)
                changed += self._stores.brand_keys.renew(key, new)
                progress("brand_keys", changed)
        log_event(_log, INFO, "brand_keys_rewrapped", master_key_id=self._masters.newest, keys=changed)
        return changed

    def brand_ids(self) -> list[str]:
        """Brands that have keys, also those that are in brands.yaml no more."""
        return sorted({key.brand_id for key in self._stores.brand_keys.find_all(KeyKind.DATA)})

    def status(self, brand_id: str) -> list[KeyUse]:
        """Every key of a brand, by kind and number, and how many documents need it.

        Raises:
            StoreUnavailable: MongoDB did not answer in time.
        """
        keys = sorted(self._stores.brand_keys.find(brand_id), key=lambda key: (key.kind.value, key.number))
        newest = {kind: max((key.number for key in keys if key.kind is kind), default=0) for kind in KeyKind}
        needs: dict[KeyKind, Callable[[int], Mapping[str, int] | None]] = {
            KeyKind.DATA: lambda number: self._needed_by(brand_id, number),
            KeyKind.INDEX: lambda _: {},
            KeyKind.TOKEN: lambda _: None,
        }
        return [
            KeyUse(
                brand_id=brand_id,
                kind=key.kind,
                number=key.number,
                master_key_id=key.master_key_id,
                created_at=key.created_at,
                current=key.number == newest[key.kind],
                needed_by=needs[key.kind](key.number),
            )
            for key in keys
        ]

    def _data_keys(self, brand_id: str) -> list[BrandKey]:
        return [key for key in self._stores.brand_keys.find(brand_id) if key.kind is KeyKind.DATA]

    def _needed_by(self, brand_id: str, number: int) -> dict[str, int]:
        stores = self._stores
        counted: dict[str, Counted] = {
            "recipient_keys": stores.recipient_keys,
            "blocks": stores.blocks,
            "endpoints": stores.endpoints,
            "messages": stores.messages,
            "deliveries": stores.deliveries,
        }
        return {name: store.count_under(brand_id, number) for name, store in counted.items()}

    def _renew_all(self, brand_id: str, number: int, step: _Step, progress: Progress) -> int:
        done = 0
        while found := step.store.older(brand_id, number, _BATCH):
            pairs = _pairs(found, step.renew)
            if broken := len(found) - len(pairs):
                log_event(_log, WARNING, "rewrap_unreadable", brand_id=brand_id, collection=step.name, rows=broken)
            if not pairs:
                break  # nothing but broken ones: they stay, and are counted by `status`
            done += step.store.renew(pairs)
            progress(step.name, done)
        return done

    def _rewrapped(self, keys: Sequence[RecipientKey]) -> list[RecipientKey]:
        return [self._vault.rewrapped(key) for key in keys]

    def _resealed(self, purpose: str, fields: Sequence[SealedField]) -> list[SealedField]:
        renewed = []
        for field in fields:
            plain = self._keyring.open(field.brand_id, purpose, field.sealed)
            sealed = self._keyring.seal(field.brand_id, purpose, plain)
            renewed.append(field._replace(sealed=sealed, key_number=self._keyring.number_of(sealed)))
        return renewed

    def _under_persons_keys(self, fields: Sequence[SealedField]) -> list[SealedField]:
        brand_id, purpose = fields[0].brand_id, self._stores.messages.purpose
        plain = [self._keyring.open(brand_id, purpose, field.sealed) for field in fields]
        items = [(field.address_hash, text) for field, text in zip(fields, plain, strict=True)]
        sealed = self._vault.seal_many(brand_id, purpose, items)
        return [field._replace(sealed=new) for field, new in zip(fields, sealed, strict=True)]


def _pairs(found: Sequence[Any], renew: Callable[[Sequence[Any]], list[Any]]) -> list[tuple[Any, Any]]:
    """(old, new) of everything that can be opened."""
    try:
        return list(zip(found, renew(found), strict=True))
    except ConfigurationError:
        raise  # a master key is missing: the operator's to mend
    except PermanentError:
        if len(found) == 1:
            return []
    return [pair for one in found for pair in _pairs([one], renew)]
