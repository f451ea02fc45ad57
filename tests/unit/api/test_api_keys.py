"""The text of API keys, and who may do what with one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from app.errors import Forbidden, Unauthenticated
from app.lib import clock
from app.models.api_key import ApiKey, Scope, digest_of, new_token, parse_scopes, parse_token, token_text
from app.web.auth import CACHE_SECONDS, TOUCH_EVERY, Authenticator, require


class OneKey:
    """A store with one key, that counts how often it is asked."""

    def __init__(self) -> None:
        key_id, self.secret = new_token()
        self.key: ApiKey = ApiKey(
            key_id, "alder", "test", frozenset({Scope.EVENTS_READ}), digest_of(self.secret), clock.now()
        )
        self.asked = 0
        self.touched: list[datetime] = []

    @property
    def header(self) -> str:
        return "Bearer " + token_text(self.key.id, self.secret)

    def find(self, key_id: str) -> ApiKey | None:
        self.asked += 1
        return self.key if key_id == self.key.id else None

    def touch(self, key_id: str, at: datetime, *, unused_for: timedelta) -> None:
        assert key_id == self.key.id
        self.touched.append(at)


def test_a_token_survives_its_text_and_nothing_else_is_one() -> None:
    key_id, secret = new_token()
    token = token_text(key_id, secret)
    assert parse_token(token) == (key_id, secret)
    for wrong in (
        token[:-1],
        token + "a",
        token.upper(),
        "xx" + token[2:],
        token + "\n",
        "tt__" + secret,
        "",
        "tt_a_b",
    ):
        assert parse_token(wrong) is None


def test_tokens_are_all_different() -> None:
    assert len({part for _ in range(200) for part in new_token()}) == 400


def test_the_digest_is_not_the_secret_and_is_not_shown() -> None:
    store = OneKey()
    assert store.secret.encode() not in store.key.digest
    assert "digest" not in repr(store.key)


def test_a_key_opens_with_its_own_secret_only() -> None:
    store = OneKey()
    assert Authenticator(lambda: store).authenticate(store.header) == store.key
    assert Authenticator(lambda: store).authenticate(store.header.replace("Bearer ", "bearer  ")) == store.key
    _, other = new_token()
    bad = [
        None,
        "",
        "Bearer",
        "Bearer tt_x_y",
        "Basic " + store.header[7:],
        store.header[7:],
        "Bearer " + token_text(store.key.id, other),
        "Bearer " + token_text(new_token()[0], store.secret),
    ]
    for header in bad:
        with pytest.raises(Unauthenticated):
            Authenticator(lambda: store).authenticate(header)


def test_a_revoked_key_stops_working_when_the_cache_forgets_it() -> None:
    store, now = OneKey(), [0.0]
    authenticator = Authenticator(lambda: store, monotonic=lambda: now[0])
    authenticator.authenticate(store.header)
    store.key = replace(store.key, revoked_at=clock.now())
    now[0] = CACHE_SECONDS + 0.01
    assert CACHE_SECONDS <= 5
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(store.header)


def test_the_store_is_asked_once_in_a_while_and_made_up_ids_are_not_remembered() -> None:
    store = OneKey()
    authenticator = Authenticator(lambda: store, monotonic=lambda: 1.0)
    for _ in range(50):
        authenticator.authenticate(store.header)
    assert store.asked == 1
    for _ in range(3000):
        with pytest.raises(Unauthenticated):
            authenticator.authenticate("Bearer " + token_text(new_token()[0], store.secret))
    authenticator.authenticate(store.header)
    assert store.asked == 3001


def test_many_calls_in_a_minute_are_noted_with_one_write() -> None:
    store = OneKey()
    authenticator = Authenticator(lambda: store, monotonic=lambda: 1.0)
    for _ in range(50):
        authenticator.used(authenticator.authenticate(store.header))
    assert len(store.touched) == 1
    store.key = replace(store.key, last_used_at=clock.now() - TOUCH_EVERY)
    authenticator.used(store.key)
    assert len(store.touched) == 2


def test_a_scope_that_is_missing_is_forbidden() -> None:
    key = OneKey().key
    require(key, Scope.EVENTS_READ)
    with pytest.raises(Forbidden) as caught:
        require(key, Scope.MESSAGES_WRITE)
    assert caught.value.code == "missing_scope"


def test_scopes_are_a_closed_set() -> None:
    assert parse_scopes("all") == frozenset(Scope)
    assert parse_scopes("events:read, messages:write") == {Scope.EVENTS_READ, Scope.MESSAGES_WRITE}
    for wrong in ("", ",", "everything", "all,events:read", "events:*"):
        with pytest.raises(ValueError):
            parse_scopes(wrong)
