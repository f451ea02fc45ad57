"""Wrapping: a brand's key as it is stored, under a master key of the settings. `keyring` and `token_keys` use it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.errors import ConfigurationError
from app.models.brand_key import BrandKey, KeyKind
from app.privacy.envelope import KEY_BYTES, SealBroken, Sealer, context_of


class MasterKeys:
    """The deployment's master keys, ready for use.

    Args:
        master_keys: (key id, 32 bytes), newest first: the newest wraps, all of them unwrap.

    Raises:
        ConfigurationError: no master key, a wrong length, or an id that stands twice.
    """

    def __init__(self, master_keys: Sequence[tuple[str, bytes]]) -> None:
        _check(master_keys)
        self.newest = master_keys[0][0]
        """The id of the key that wraps."""
        self._sealers = {key_id: Sealer(key) for key_id, key in master_keys}

    def wrap(self, brand_id: str, kind: KeyKind, number: int, key: bytes, created_at: datetime) -> BrandKey:
        """A key as it may be stored; it unwraps only for the same brand, kind and number."""
        wrapped = self._sealers[self.newest].seal(key, wrap_context(brand_id, kind, number))
        return BrandKey(
            brand_id=brand_id,
            kind=kind,
            number=number,
            master_key_id=self.newest,
            wrapped=wrapped,
            created_at=created_at,
        )

    def unwrap(self, key: BrandKey) -> bytes:
        """The bytes that `wrap` was given.

        Raises:
            ConfigurationError: wrapped by a master key that is not configured, or it does not open.
        """
        sealer = self._sealers.get(key.master_key_id)
        if sealer is None:
            known = ", ".join(self._sealers)
            raise ConfigurationError(
                f"brand {key.brand_id}: its {key.kind} key is wrapped by master key {key.master_key_id}, "
                f"which is not configured (configured: {known})"
            )
        try:
            return sealer.open(key.wrapped, wrap_context(key.brand_id, key.kind, key.number))
        except SealBroken as error:
            raise ConfigurationError(
                f"brand {key.brand_id}: its {key.kind} key does not open with master key {key.master_key_id}; "
                "another key is configured under that id, or the stored key was changed"
            ) from error


def wrap_context(brand_id: str, kind: KeyKind, number: int) -> bytes:
    """What a wrapped key is bound to."""
    return context_of("brand key", brand_id, kind.value, str(number))


def _check(master_keys: Sequence[tuple[str, bytes]]) -> None:
    if not master_keys:
        raise ConfigurationError("no master key is configured")
    ids = [key_id for key_id, _ in master_keys]
    if len(set(ids)) != len(ids):
        raise ConfigurationError("the same master key id is configured twice")
    for key_id, key in master_keys:
        if len(key) != KEY_BYTES:
            raise ConfigurationError(f"master key {key_id} has {len(key)} bytes, not {KEY_BYTES}")
        if not (key_id.isascii() and 0 < len(key_id) <= 255):
            raise ConfigurationError("a master key id must be 1 to 255 ASCII characters")
