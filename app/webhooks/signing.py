"""Standard Webhooks 1.0.0 signatures, version v1 (HMAC-SHA256).

The text form of a secret (`whsec_…`) is read and made in `app.brands.secrets`; here they are keys of 24-64 bytes.
"""

from __future__ import annotations

import binascii
import hmac
import re
from collections.abc import Sequence

MIN_KEY_BYTES = 24
MAX_KEY_BYTES = 64
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def sign(keys: Sequence[bytes], webhook_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one item per key, in the order given (current first), joined by one space.

    One space exactly and one header line: the Python verifier raises a bare ValueError on anything else.

    Args:
        timestamp: whole seconds since 1970, the time of this attempt.
    Raises:
        ValueError: no key, a key of the wrong length, or a malformed id: a dot separates the
            signed parts.
    """
    if not keys or any(not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES for key in keys):
        raise ValueError("an endpoint needs signing keys of 24 to 64 bytes")
    if not _ID.fullmatch(webhook_id):
        raise ValueError("a webhook id has no dot and is ASCII: 1 to 64 letters, digits, hyphens and underscores")
    signed = f"{webhook_id}.{timestamp}.".encode("ascii") + body
    return " ".join(
        ["v1," + binascii.b2a_base64(hmac.digest(key, signed, "sha256"), newline=False).decode() for key in keys]
    )
