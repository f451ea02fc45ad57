"""Who is calling `/v1`: the API key in `Authorization: Bearer …`. What a key is stands in `app.models.api_key`."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from app.errors import Forbidden, Unauthenticated
from app.lib import clock
from app.models.api_key import ApiKey, Scope, digest_of, parse_token

CACHE_SECONDS = 3.0
"""A revoked key works at most this long in a process that knows it."""
TOUCH_EVERY = timedelta(minutes=1)
"""`last_used_at` is this coarse: a key in heavy use costs one write a minute."""
_CACHED_KEYS = 1024


class KeyStore(Protocol):
    """What this file needs of `app.storage.api_keys.ApiKeys`."""

    def find(self, key_id: str) -> ApiKey | None: ...
    def touch(self, key_id: str, at: datetime, *, unused_for: timedelta) -> None: ...


class Authenticator:
    """Keys by id, remembered for a moment. Safe in threads.

    Args:
        keys: gives the store when the first call comes: nothing connects before.
        monotonic: seconds.
    """

    def __init__(self, keys: Callable[[], KeyStore], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()

    def authenticate(self, header: str | None) -> ApiKey:
        """The key behind an `Authorization` header.

        Raises:
            Unauthenticated: with the same text for every reason but a missing or malformed header.
            StoreUnavailable: the key is not remembered and MongoDB does not answer.
        """
        scheme, _, credentials = (header or "").partition(" ")
        token = parse_token(credentials.strip(" ")) if scheme.lower() == "bearer" else None
        if token is None:
            raise Unauthenticated("Send your API key as Authorization: Bearer tt_….")
        key_id, secret = token
        key = self._find(key_id)
        if key is None:
            digest_of(secret)  # so that an unknown id costs what a wrong secret does
        if key is None or not key.opens_with(secret):
            raise Unauthenticated("The API key is unknown or revoked.")
        return key

    def _find(self, key_id: str) -> ApiKey | None:
        now = self._monotonic()
        with self._lock:
            remembered = self._known.get(key_id)
        if remembered is not None and now < remembered[0]:
            return remembered[1]
        key = self._keys().find(key_id)
        with self._lock:
            self._known.pop(key_id, None)
            # Only keys that exist are remembered: made-up ids must not push real ones out.
            if key is not None:
                self._known[key_id] = (now + CACHE_SECONDS, key)
                if len(self._known) > _CACHED_KEYS:
                    self._known.popitem(last=False)
        return key

    def used(self, key: ApiKey) -> None:
        """Note that a key was used; a write at most once a minute and key."""
        now = clock.now()
        if key.last_used_at is not None and now - key.last_used_at < TOUCH_EVERY:
            return
        self._keys().touch(key.id, now, unused_for=TOUCH_EVERY)
        with self._lock:
            remembered = self._known.get(key.id)
            if remembered is not None:
                self._known[key.id] = (remembered[0], replace(remembered[1], last_used_at=now))


def require(key: ApiKey, scope: Scope) -> None:
    """Raise `Forbidden` unless the key has the scope."""
    if scope not in key.scopes:
        raise Forbidden(f"The API key needs the scope {scope.value}.", code="missing_scope")
