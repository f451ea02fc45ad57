"""A brand's API key: what is kept of it, what it may do, the text shown once. Stored by `app.storage.api_keys`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

_TOKEN = re.compile(r"tt_([a-z2-7]{12})_([a-z2-7]{52})", re.ASCII)
_SECRET_BYTES = 32
_ID_CHARS = 12


class Scope(StrEnum):
    """What a key may do. A closed set; `all` in a command or a document means every one of them."""

    MESSAGES_WRITE = "messages:write"
    MESSAGES_READ = "messages:read"
    EVENTS_READ = "events:read"
    EVENTS_WRITE = "events:write"
    ENDPOINTS_WRITE = "endpoints:write"
    ENDPOINTS_READ = "endpoints:read"
    RECIPIENTS_WRITE = "recipients:write"
    RECIPIENTS_READ = "recipients:read"


ALL_SCOPES = "all"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored: never its secret."""

    id: str
    brand_id: str
    name: str
    scopes: frozenset[Scope]
    digest: bytes = field(repr=False)
    """SHA-256 of the secret. Enough without salt or stretching: the secret is 256 random bits."""
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def opens_with(self, secret: str) -> bool:
        """Whether this is the key's secret, in constant time, and the key has not been revoked."""
        return hmac.compare_digest(self.digest, digest_of(secret)) and self.revoked_at is None


def new_token() -> tuple[str, str]:
    """A fresh key id and secret."""
    return _base32(secrets.token_bytes(_SECRET_BYTES))[:_ID_CHARS], _base32(secrets.token_bytes(_SECRET_BYTES))


def token_text(key_id: str, secret: str) -> str:
    """What the brand sends after `Bearer`: `tt_<key id>_<secret>`."""
    return f"tt_{key_id}_{secret}"


def parse_token(text: str) -> tuple[str, str] | None:
    """Key id and secret of a token, or None when it cannot be one of ours."""
    match = _TOKEN.fullmatch(text)
    return (match[1], match[2]) if match else None


def digest_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def parse_scopes(text: str) -> frozenset[Scope]:
    """Scopes from `all` or a comma-separated list.

    Raises:
        ValueError: when one of them does not exist, or there is none.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ValueError("needs at least one scope")
    if names == [ALL_SCOPES]:
        return frozenset(Scope)
    unknown = [name for name in names if name not in set(Scope)]
    if unknown:
        raise ValueError(f"unknown scope {', '.join(unknown)}; the scopes are all, {', '.join(Scope)}")
    return frozenset(Scope(name) for name in names)


def scope_names(scopes: Iterable[Scope]) -> list[str]:
    """In the order of `Scope`, for output that does not change from run to run."""
    held = set(scopes)
    return [scope.value for scope in Scope if scope in held]


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()
