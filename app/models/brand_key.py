"""A brand's key as it is stored: wrapped by a master key. `app.privacy` makes and uses it, `app.storage` keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class KeyKind(StrEnum):
    DATA = "data"
    """Encrypts what is personal at rest."""
    INDEX = "index"
    """HMAC of addresses. Never replaced: suppressions are found by these hashes."""
    TOKEN = "token"  # noqa: S105 - a name
    """Seals tokens; 64 bytes, because AES-SIV takes two keys. The brand's own sender may hold a copy."""


@dataclass(frozen=True, slots=True)
class BrandKey:
    brand_id: str
    kind: KeyKind
    number: int
    """1 to 65535, counted up by rotation; stands in front of everything sealed with the key."""
    master_key_id: str
    wrapped: bytes = field(repr=False)
    """Nonce, ciphertext and tag of 32 bytes of key."""
    created_at: datetime
