"""Sealed bytes: AES-256-GCM with a version and a key id in front, bound to whom they belong to and what they are for.

    brand   1 byte version (1)   2 bytes key number   12 bytes nonce   ciphertext and tag
    batch   1 byte version (2)   1 byte length, master key id          12 bytes nonce   ciphertext and tag
    person  1 byte version (3)   12 bytes key id                       12 bytes nonce   ciphertext and tag

The key named in front is the only one tried (trying all is slower and an oracle by time). Whom and what for are
associated data, each with its length in front, so that ("ab", "c") and ("a", "bc") differ. Keys come from `keyring`.
"""

from __future__ import annotations

import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.errors import PermanentError
from app.models.recipient_key import KEY_ID_BYTES

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
BRAND_VERSION = 1
BATCH_VERSION = 2
RECIPIENT_VERSION = 3
_BRAND_HEADER = 3
_RECIPIENT_HEADER = 1 + KEY_ID_BYTES


class SealBroken(PermanentError):
    """These bytes were not sealed by us for this brand and purpose, or were changed since."""


class Sealer:
    """One key ready for use; keep the object, making it costs more than sealing with it.

    Args:
        key: 32 random bytes. A random 96-bit nonce allows 2**32 messages under one key (NIST SP 800-38D, 8.3);
            rotate well before.
        header: what stands in front of everything this key seals: version and key id.
    """

    __slots__ = ("_aead", "_header")

    def __init__(self, key: bytes, header: bytes = b"") -> None:
        self._aead = AESGCM(key)
        self._header = header

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return self._header + nonce + self._aead.encrypt(nonce, plaintext, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed.

        Raises:
            SealBroken: another key, another context, a changed byte, too short, or another header.
        """
        start = len(self._header)
        body = start + NONCE_BYTES
        if len(sealed) < body + TAG_BYTES or sealed[:start] != self._header:
            raise SealBroken("not a sealed value")
        try:
            return self._aead.decrypt(sealed[start:body], sealed[body:], context)
        except InvalidTag:
            raise SealBroken("sealed for something else, or changed") from None


@lru_cache(maxsize=4096)
def context_of(*parts: str) -> bytes:
    """Associated data of several texts, each with its length (4 bytes) in front."""
    encoded = [part.encode("utf-8") for part in parts]
    return b"".join(len(item).to_bytes(4, "big") + item for item in encoded)


def brand_header(key_number: int) -> bytes:
    return bytes((BRAND_VERSION,)) + key_number.to_bytes(2, "big")


def key_number_of(sealed: bytes) -> int:
    """Which of a brand's data keys sealed this.

    Raises:
        SealBroken: not the brand form.
    """
    if len(sealed) < _BRAND_HEADER + NONCE_BYTES + TAG_BYTES or sealed[0] != BRAND_VERSION:
        raise SealBroken("not a sealed value")
    return int.from_bytes(sealed[1:_BRAND_HEADER], "big")


def batch_header(master_key_id: str) -> bytes:
    name = master_key_id.encode("ascii")
    return bytes((BATCH_VERSION, len(name))) + name


def master_key_id_of(sealed: bytes) -> str:
    """Which master key a batch was sealed under.

    Raises:
        SealBroken: not the batch form.
    """
    if len(sealed) < 2 or sealed[0] != BATCH_VERSION or len(sealed) < 2 + sealed[1] + NONCE_BYTES + TAG_BYTES:
        raise SealBroken("not a sealed batch")
    return sealed[2 : 2 + sealed[1]].decode("ascii", errors="replace")


def recipient_header(key_id: bytes) -> bytes:
    return bytes((RECIPIENT_VERSION,)) + key_id


def recipient_key_id_of(sealed: bytes) -> bytes:
    """Which person's key sealed this; empty for the brand form.

    Raises:
        SealBroken: neither form.
    """
    if sealed[:1] == bytes((RECIPIENT_VERSION,)) and len(sealed) >= _RECIPIENT_HEADER + NONCE_BYTES + TAG_BYTES:
        return sealed[1:_RECIPIENT_HEADER]
    key_number_of(sealed)
    return b""
