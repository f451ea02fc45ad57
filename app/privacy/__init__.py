"""Encryption at rest and keyed hashes: `keyring` is what others use, over `envelope` and `hashes`."""

from app.privacy.envelope import SealBroken
from app.privacy.keyring import BrandKeyStore, Keyring

__all__ = ["BrandKeyStore", "Keyring", "SealBroken"]
