"""Sealed tokens: links that carry their own content, encrypted and authenticated, bound to one brand and one purpose.

    base64url without padding of:   1 byte version (1)   2 bytes key number   16 bytes SIV   ciphertext

AES-SIV (RFC 5297) with a key of 64 bytes, over the bytes of `token_content`, with version, key number, purpose and
brand as associated data. It is deterministic, and right so: equal content means the same message, and a nonce would
only make every link 16 characters longer. What it gives away is that equality and the length, which is why
docs/tokens.md asks for a reference in every token. Where keys come from is `app.privacy.token_keys`.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from app.tracking.token_content import (
    ContentRefused,
    TokenContent,
    TokenPurpose,
    decode,
    encode,
    message_identity,
)

__all__ = [
    "ContentRefused",
    "TokenContent",
    "TokenKey",
    "TokenPurpose",
    "key_number_of",
    "key_text",
    "message_identity",
    "open_sealed",
    "open_token",
    "seal_token",
    "unpack",
]

KEY_BYTES = 64
VERSION = 1
MAX_TOKEN_CHARS = 1400
MAX_KEY_NUMBER = 0xFFFF
_HEADER_BYTES = 3
# Two bytes of content is the least that a field takes.
_MIN_TOKEN_CHARS = 28
_TOKEN = re.compile(rf"[A-Za-z0-9_-]{{{_MIN_TOKEN_CHARS},{MAX_TOKEN_CHARS}}}", re.ASCII)


class TokenKey:
    """One key ready for use; keep the object, making it costs more than sealing with it.

    Args:
        number: 1 to 65535, which key of its brand it is.
        key: 64 random bytes.
    """

    __slots__ = ("aead", "header", "number")

    def __init__(self, number: int, key: bytes) -> None:
        if len(key) != KEY_BYTES or not 1 <= number <= MAX_KEY_NUMBER:
            raise ValueError("a token key has a number from 1 to 65535 and 64 bytes")
        self.number = number
        self.header = bytes((VERSION,)) + number.to_bytes(2, "big")
        self.aead = AESSIV(key)


def seal_token(key: TokenKey, brand_id: str, purpose: TokenPurpose, content: TokenContent) -> str:
    """The token of a content; the same content gives the same token.

    Raises:
        ContentRefused: the content is not one of this purpose (`token_content.encode`).
    """
    sealed = key.aead.encrypt(encode(purpose, content), [_bound_to(key, brand_id, purpose)])
    return urlsafe_b64encode(key.header + sealed).decode("ascii").rstrip("=")


def open_token(key: TokenKey, brand_id: str, purpose: TokenPurpose, token: str) -> TokenContent | None:
    """What `seal_token` was given, or None for everything else than exactly its answer."""
    sealed = unpack(token)
    return None if sealed is None else open_sealed(key, brand_id, purpose, sealed)


def unpack(token: str) -> bytes | None:
    """The bytes of a token, or None when it is not the one way to write them. Says nothing about who made it."""
    if not _TOKEN.fullmatch(token):
        return None
    try:
        sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except binascii.Error:
        return None
    # The bits behind the last byte are zero in what we write; every reader of base64 ignores them.
    if sealed[0] != VERSION or urlsafe_b64encode(sealed).rstrip(b"=") != token.encode("ascii"):
        return None
    return sealed


def key_number_of(sealed: bytes) -> int:
    """Which of the brand's keys sealed this, as it says itself; `sealed` is from `unpack`."""
    return int.from_bytes(sealed[1:_HEADER_BYTES], "big")


def open_sealed(key: TokenKey, brand_id: str, purpose: TokenPurpose, sealed: bytes) -> TokenContent | None:
    """As `open_token`, for what `unpack` gave.

    Takes as long for a tag that is nearly right as for one that is all wrong: AES-SIV decrypts and computes the whole
    tag first, and OpenSSL compares it in constant time (CRYPTO_memcmp). The content is looked at only after that.
    """
    if sealed[:_HEADER_BYTES] != key.header:
        return None
    try:
        raw = key.aead.decrypt(sealed[_HEADER_BYTES:], [_bound_to(key, brand_id, purpose)])
    except InvalidTag:
        return None
    return decode(purpose, raw)


def key_text(brand_id: str, number: int, key: bytes) -> str:
    """A key as a brand's own sender gets it (`clients/python/telltale_tokens.py`): one word, with all it needs."""
    return f"ttk_{brand_id}_{number}_{urlsafe_b64encode(key).decode('ascii').rstrip('=')}"


def _bound_to(key: TokenKey, brand_id: str, purpose: TokenPurpose) -> bytes:
    """Associated data. Everything before the brand has a fixed length, so no two bindings are the same bytes."""
    return key.header + purpose.value.encode("ascii") + brand_id.encode()
