"""The vault: seals what is personal under a data key of the person's own, which the brand's data key wraps.

Deleting a person's key (`app.storage.recipient_keys`) erases the person in every store and backup at once. That only
holds because nobody keeps unwrapped keys: each call here reads what it needs, in one query, and forgets it. The brand's
keys are `keyring`'s matter, and rotating them rewrites no data: persons' keys are wrapped anew, 63 bytes each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from app.errors import StoreUnavailable
from app.lib import clock
from app.models.recipient_key import KEY_ID_BYTES, HeldKeys, RecipientKey
from app.privacy.envelope import KEY_BYTES, Sealer, context_of, recipient_header, recipient_key_id_of
from app.privacy.keyring import Keyring

_WRAP_PURPOSE = "recipient key"
_TIME_BYTES = 6
_RANDOM_BYTES = KEY_ID_BYTES - _TIME_BYTES
_ROUNDS = 4


class RecipientKeyStore(Protocol):
    """Where persons' wrapped keys live. Everything is read and written with majority."""

    def find_by_hash(self, brand_id: str, hashes: Iterable[str]) -> list[RecipientKey]: ...
    def find(self, key_ids: Iterable[bytes]) -> list[RecipientKey]: ...
    def insert(self, keys: Sequence[RecipientKey], at: datetime) -> set[int]:
        """Answers the positions of keys that were not stored: their person has one, or their id is taken."""


class Vault:
    """Thread-safe. Every method raises `StoreUnavailable` and `ConfigurationError` as the keyring does.

    Args:
        keyring: wraps persons' keys, and opens what was sealed before persons had keys of their own.
        keys: where the wrapped keys are.
    """

    def __init__(self, keyring: Keyring, keys: RecipientKeyStore, *, now: Callable[[], datetime] = clock.now) -> None:
        self._keyring = keyring
        self._keys = keys
        self._now = now

    def seal_many(self, brand_id: str, purpose: str, items: Sequence[tuple[str, bytes]]) -> list[bytes]:
        """Seal (address hash, plaintext), each under its person's key; persons without one get one.

        For what enters the system. What is derived later from something sealed goes through `seal_under`, or it would
        give an erased person a new key.
        """
        sealers = self._of_persons(brand_id, {address_hash for address_hash, _ in items})
        context = _context(brand_id, purpose)
        return [sealers[address_hash].seal(plaintext, context) for address_hash, plaintext in items]

    def seal_under(
        self, purpose: str, items: Sequence[tuple[str, bytes, bytes]], held: HeldKeys | None = None
    ) -> list[bytes | None]:
        """Seal (brand id, key id, plaintext) under the key that sealed something else of the same person.

        Args:
            items: an empty key id means the brand's key, for what is no person's.
            held: keys that the same call has read already; it gets the others.

        Returns:
            None where the key is gone: the person was erased, and the plaintext must not be stored.
        """
        sealers = self._of_ids(((brand_id, key_id) for brand_id, key_id, _ in items), held)
        sealed: list[bytes | None] = []
        for brand_id, key_id, plaintext in items:
            if not key_id:
                sealed.append(self._keyring.seal(brand_id, purpose, plaintext))
            elif (sealer := sealers.get((brand_id, key_id))) is not None:
                sealed.append(sealer.seal(plaintext, _context(brand_id, purpose)))
            else:
                sealed.append(None)
        return sealed

    def open_many(
        self, purpose: str, items: Sequence[tuple[str, bytes]], held: HeldKeys | None = None
    ) -> list[bytes | None]:
        """Open (brand id, sealed), whether a person's key or the brand's sealed it.

        Args:
            held: as for `seal_under`.

        Returns:
            None where the person's key is gone: erased.

        Raises:
            SealBroken: one of them was sealed for another brand or purpose, or changed.
        """
        key_ids = [recipient_key_id_of(sealed) for _, sealed in items]
        sealers = self._of_ids(((brand_id, key_id) for (brand_id, _), key_id in zip(items, key_ids, strict=True)), held)
        opened: list[bytes | None] = []
        for (brand_id, sealed), key_id in zip(items, key_ids, strict=True):
            if not key_id:
                opened.append(self._keyring.open(brand_id, purpose, sealed))
            elif (sealer := sealers.get((brand_id, key_id))) is not None:
                opened.append(sealer.open(sealed, _context(brand_id, purpose)))
            else:
                opened.append(None)
        return opened

    def key_id_of(self, sealed: bytes) -> bytes:
        """The id of the person's key that sealed this; empty when it was the brand's.

        Raises:
            SealBroken: neither sealed it.
        """
        return recipient_key_id_of(sealed)

    def gone(self, sealed: Sequence[bytes]) -> list[bool]:
        """For each sealed value whether its person has been erased: one query, nothing is opened.

        Raises:
            SealBroken: neither sealed it.
        """
        key_ids = [recipient_key_id_of(value) for value in sealed]
        there = {key.id for key in self._keys.find({key_id for key_id in key_ids if key_id})}
        return [bool(key_id) and key_id not in there for key_id in key_ids]

    def number_of(self, sealed: bytes) -> int:
        """Which of the brand's keys must stay for this to open: 0 when a person's key sealed it.

        Raises:
            SealBroken: neither sealed it.
        """
        return 0 if recipient_key_id_of(sealed) else self._keyring.number_of(sealed)

    def rewrapped(self, key: RecipientKey) -> RecipientKey:
        """The same key, wrapped by the brand's current data key."""
        return self._wrapped(key.id, key.brand_id, key.address_hash, self._unwrap(key))

    def _of_persons(self, brand_id: str, hashes: Collection[str]) -> dict[str, Sealer]:
        """Get or make: one query, one write for those who have none, again for those whom somebody else gave one."""
        ready: dict[str, Sealer] = {}
        for _ in range(_ROUNDS):
            for key in self._keys.find_by_hash(brand_id, [item for item in hashes if item not in ready]):
                ready[key.address_hash] = Sealer(self._unwrap(key), recipient_header(key.id))
            missing = [item for item in hashes if item not in ready]
            if missing:
                ready |= self._make(brand_id, missing)
            if len(ready) == len(hashes):
                return ready
        # Somebody makes and deletes keys of the same persons at this moment.
        raise StoreUnavailable("recipient_keys: keys come and go")

    def _make(self, brand_id: str, hashes: Sequence[str]) -> dict[str, Sealer]:
        """New keys, without those of persons who got one from somebody else meanwhile."""
        now = self._now()
        # Ids begin with the time, so that they come in at the right edge of their index.
        time_part = (int(now.timestamp() * 1000)).to_bytes(_TIME_BYTES, "big")
        size = KEY_BYTES + _RANDOM_BYTES
        noise = os.urandom(size * len(hashes))
        made: list[tuple[RecipientKey, bytes]] = []
        for place, address_hash in enumerate(hashes):
            piece = noise[place * size : (place + 1) * size]
            key, key_id = piece[:KEY_BYTES], time_part + piece[KEY_BYTES:]
            made.append((self._wrapped(key_id, brand_id, address_hash, key), key))
        taken = self._keys.insert([stored for stored, _ in made], now)
        return {
            stored.address_hash: Sealer(key, recipient_header(stored.id))
            for place, (stored, key) in enumerate(made)
            if place not in taken
        }

    def _of_ids(self, wanted: Iterable[tuple[str, bytes]], held: HeldKeys | None) -> HeldKeys:
        """Sealers by (brand id, key id), without those whose key is gone or is not the brand's."""
        sealers = HeldKeys() if held is None else held
        missing = {place for place in wanted if place[1] and place not in sealers}
        if missing:
            for key in self._keys.find({key_id for _, key_id in missing}):
                if (place := (key.brand_id, key.id)) in missing:
                    sealers[place] = Sealer(self._unwrap(key), recipient_header(key.id))
        return sealers

    def _wrapped(self, key_id: bytes, brand_id: str, address_hash: str, key: bytes) -> RecipientKey:
        wrapped = self._keyring.seal(brand_id, _WRAP_PURPOSE, key, bound_to=key_id)
        return RecipientKey(key_id, brand_id, address_hash, self._keyring.number_of(wrapped), wrapped)

    def _unwrap(self, key: RecipientKey) -> bytes:
        return self._keyring.open(key.brand_id, _WRAP_PURPOSE, key.wrapped, bound_to=key.id)


def _context(brand_id: str, purpose: str) -> bytes:
    return context_of("recipient", brand_id, purpose)
