"""How the signing secrets of an endpoint change: a new one beside the old ones, and the end of one.

Every secret that has not expired signs, so a receiver changes its own in its own time. Their text form is
`app.brands.secrets`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from app.errors import Conflict, NotFound
from app.lib import ids
from app.models.delivery import Endpoint, Secret

ID_PREFIX = "sec_"
MAX_ACTIVE = 3


def new_secret_id() -> str:
    """A fresh id, `sec_` and 26 characters."""
    return ID_PREFIX + ids.to_text(ids.new_id())


def active(endpoint: Endpoint, now: datetime) -> list[Secret]:
    """The secrets that sign now, newest first."""
    return [one for one in endpoint.secrets if one.expires_at is None or one.expires_at > now]


def rotated(endpoint: Endpoint, new: Secret, overlap: timedelta, now: datetime) -> Endpoint:
    """The endpoint with a new secret in front; those of now end after the overlap, or when they end anyway.

    Raises:
        Conflict: there would be more than three active ones.
    """
    end = now + overlap
    ending = (one._replace(expires_at=min(end, one.expires_at or end)) for one in endpoint.secrets)
    kept = [one for one in ending if one.expires_at is not None and one.expires_at > now]
    if len(kept) >= MAX_ACTIVE:
        detail = f"An endpoint has at most {MAX_ACTIVE} active secrets; revoke one first."
        raise Conflict(detail, code="too_many_secrets")
    return replace(endpoint, secrets=(new, *kept))


def revoked(endpoint: Endpoint, secret_id: str, now: datetime) -> Endpoint:
    """The endpoint without a secret. If that was the current one, the one before it is again, and does not end.

    Raises:
        NotFound: it has no such secret; Conflict: it has no other.
    """
    signing = active(endpoint, now)
    left = [one for one in signing if one.id != secret_id]
    if len(left) == len(signing):
        raise NotFound("The endpoint has no such active secret.")
    if not left:
        raise Conflict("This is the endpoint's only secret; rotate it, with an overlap of 0.", code="last_secret")
    if all(one.expires_at is not None for one in left):
        left[0] = left[0]._replace(expires_at=None)
    return replace(endpoint, secrets=tuple(left))
