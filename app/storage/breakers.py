"""The endpoints' breakers in Redis: one small value each, changed only by who has seen what it was.

A run costs two calls: one to ask, one to note. Redis may forget everything: a lost breaker is closed, or begins with a
probe where the endpoint's health says that it was failing. Without Redis each process goes by what it has seen itself.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, Protocol, cast

import orjson
import redis

from app.errors import StoreUnavailable
from app.models.breaker import Circuit, CircuitState, Permit
from app.storage.optional_redis import OptionalRedis
from app.storage.rates import is_throttled, throttle_key

_KEPT_MS = 24 * 3600 * 1000
"""An open breaker nobody asked for so long is forgotten, and with it how often it opened."""
_CLOSED_KEPT_MS = 10 * 60 * 1000
_ROUNDS = 8
_REMEMBERED = 4096

# KEYS[1] the breaker; ARGV: what it was, what it becomes, milliseconds it is kept. Answers what it was if it was
# something else meanwhile, and then changes nothing.
_CHANGE = """
local found = redis.call('GET', KEYS[1]) or ''
if found ~= ARGV[1] then return found end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false
"""


class Rules(Protocol):
    """The machine (`app.webhooks.breaker`)."""

    def permit(self, circuit: Circuit, now: datetime) -> tuple[Circuit, Permit]: ...
    def note(self, circuit: Circuit, ok: int, failed: int, hung: int, now: datetime) -> tuple[Circuit, Permit]: ...
    def remembered(self, failing_since: datetime) -> Circuit: ...


class _Known(NamedTuple):
    value: bytes
    """As it is in Redis; empty: it is not."""
    circuit: Circuit


_NOTHING = _Known(b"", Circuit())


class Breakers:
    """Called from threads. Nothing here raises because Redis is away.

    Args:
        cache: a Redis that may forget.
    """

    def __init__(self, cache: redis.Redis, rules: Rules) -> None:
        self._cache = cache
        self._rules = rules
        self._change = cache.register_script(_CHANGE)
        self._redis = OptionalRedis("breakers_unavailable")
        self._seen: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def permit(
        self, brand_id: str, endpoint_id: str, now: datetime, *, failing_since: datetime | None = None
    ) -> Permit:
        """Ask to send. A probe is the caller's until it is noted, or a minute has passed.

        Args:
            failing_since: `Health.suspect_since`, for a breaker that was lost.
        """
        key = _key(brand_id, endpoint_id)
        try:
            with self._redis.asked():
                value, throttled = cast(
                    list[bytes | None], self._cache.mget([key, throttle_key(brand_id, endpoint_id)])
                )
        except StoreUnavailable:
            return self._alone(key, failing_since, lambda circuit: self._rules.permit(circuit, now))
        known = _Known(value, _circuit(value)) if value else self._lost(failing_since)
        permit = self._stepped(key, known, lambda circuit: self._rules.permit(circuit, now))
        return permit._replace(throttled=is_throttled(throttled, now))

    def note(self, brand_id: str, endpoint_id: str, *, ok: int, failed: int, hung: int, now: datetime) -> Permit:
        """Note how a run went; the permit says what may come next.

        Args:
            failed: with those that hung; without 429, which says that the endpoint is there.
            hung: how many at the end of the run, in a row, used up their time.
        """
        key = _key(brand_id, endpoint_id)
        with self._lock:
            known = self._seen.get(key, _NOTHING)
        return self._stepped(key, known, lambda circuit: self._rules.note(circuit, ok, failed, hung, now))

    def _stepped(self, key: str, known: _Known, step: Callable[[Circuit], tuple[Circuit, Permit]]) -> Permit:
        """Take a step from what is known; from what it really is, if that is something else."""
        for _ in range(_ROUNDS):
            circuit, permit = step(known.circuit)
            if circuit == known.circuit:
                self._remember(key, known)
                return permit
            changed = _Known(_value(circuit), circuit)
            try:
                with self._redis.asked():
                    kept_ms = _CLOSED_KEPT_MS if circuit.state is CircuitState.CLOSED else _KEPT_MS
                    found = cast(bytes | None, self._change(keys=[key], args=[known.value, changed.value, kept_ms]))
            except StoreUnavailable:
                self._remember(key, changed)
                return permit
            if found is None:
                self._remember(key, changed)
                return permit
            known = _Known(found, _circuit(found))
        return permit  # others changed it every time: one probe too many hurts less than none

    def _alone(
        self, key: str, failing_since: datetime | None, step: Callable[[Circuit], tuple[Circuit, Permit]]
    ) -> Permit:
        with self._lock:
            known = self._seen.get(key) or self._lost(failing_since)
        circuit, permit = step(known.circuit)
        self._remember(key, _Known(known.value, circuit))
        return permit

    def _lost(self, failing_since: datetime | None) -> _Known:
        return _NOTHING if failing_since is None else _Known(b"", self._rules.remembered(failing_since))

    def _remember(self, key: str, known: _Known) -> None:
        with self._lock:
            self._seen[key] = known
            self._seen.move_to_end(key)
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)


def _key(brand_id: str, endpoint_id: str) -> str:
    return f"telltale:breaker:{brand_id}:{endpoint_id}"


def _value(circuit: Circuit) -> bytes:
    return orjson.dumps(tuple(circuit))


def _circuit(value: bytes) -> Circuit:
    """What is kept, read; what an older or newer version of this left is as good as lost."""
    try:
        state, until, since, openings, successes, hung, slots = orjson.loads(value)
        pieces = tuple((int(piece), int(ok), int(failed)) for piece, ok, failed in slots)
        return Circuit(CircuitState(state), until, since, openings, successes, hung, pieces)
    except (ValueError, TypeError):
        return Circuit()
