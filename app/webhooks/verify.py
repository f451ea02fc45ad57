"""Verifies a webhook as a receiver does, and says why it does not verify: for `flask webhooks listen`.

A receiver of your own should use a library of Standard Webhooks (docs/receiving-webhooks.md).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence

from app.webhooks.signing import sign

TOLERANCE_SECONDS = 300
_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


def fault_of(keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: int) -> str:
    """Why a request is not a webhook of ours; empty when it verifies.

    Args:
        keys: any of them may have signed.
        headers: names in lower case.
        now: whole seconds since 1970.
    """
    if missing := [name for name in _HEADERS if not headers.get(name)]:
        return f"there is no header {missing[0]}"
    webhook_id, timestamp, signature = (headers[name] for name in _HEADERS)
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 10):
        return "webhook-timestamp is not a number of seconds"
    if "." in webhook_id or not webhook_id.isascii():
        return "webhook-id has a dot or is not ASCII"
    off = now - int(timestamp)
    if abs(off) > TOLERANCE_SECONDS:
        return f"webhook-timestamp is {abs(off)} seconds {'old' if off > 0 else 'ahead'}; 300 are allowed"
    given = [item for item in signature.split(" ") if item.startswith("v1,")]
    if not given:
        return "webhook-signature has no signature of version v1"
    expected = [sign([key], webhook_id, int(timestamp), body) for key in keys]
    if any(hmac.compare_digest(one.encode(), other.encode()) for one in given for other in expected):
        return ""
    return "no signature matches: another secret has signed, or the id, the timestamp or the body was changed"
