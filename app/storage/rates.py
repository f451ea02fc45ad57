"""How fast endpoints are sent to: a bucket of tokens for each that has a limit, and a note that one is overloaded.

In Redis, one small key each, gone by themselves. Without Redis there is no limit: events arriving too fast hurt less
than events not arriving.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import cast

import redis

from app.errors import StoreUnavailable
from app.storage.optional_redis import OptionalRedis

THROTTLED_SECONDS = 300.0
"""webhooks.md: 502, 503 and 504 halve the rate for five minutes."""

# A bucket holds one second's worth, at least one. Moments are milliseconds of the callers, who may disagree a little.
# KEYS: bucket, throttle; ARGV: wanted, tokens per second, now. Answers what is granted, and milliseconds until more.
_TAKE = """
local wanted, rate, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if (tonumber(redis.call('GET', KEYS[2]) or '0')) > now then rate = rate / 2 end
local size = math.max(1, rate)
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(state[1]) or size, tonumber(state[2]) or now
tokens = math.min(size, tokens + math.max(0, now - at) * rate / 1000)
local granted = math.min(wanted, math.floor(tokens + 1e-6))
tokens = math.max(0, tokens - granted)
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.0f', math.max(now, at)))
redis.call('PEXPIRE', KEYS[1], math.ceil(2000 * size / rate) + 1000)
local wait = 0
if granted < wanted then wait = math.ceil(math.max(0, 1 - tokens) * 1000 / rate) end
return {granted, wait}
"""


class Rates:
    """Args:
    cache: a Redis that may forget.
    """

    def __init__(self, cache: redis.Redis) -> None:
        self._cache = cache
        self._take = cache.register_script(_TAKE)
        self._redis = OptionalRedis("rates_unavailable")

    def take(self, brand_id: str, endpoint_id: str, wanted: int, rate: float, now: datetime) -> tuple[int, float]:
        """Take leave for requests, in one call.

        Args:
            rate: requests per second, above 0; half of it while the endpoint is throttled.
        Returns:
            how many of `wanted` may be sent now, and the seconds until one more may, 0 when all may.
        """
        keys = [f"telltale:rate:{brand_id}:{endpoint_id}", throttle_key(brand_id, endpoint_id)]
        try:
            with self._redis.asked():
                granted, wait_ms = cast(list[int], self._take(keys=keys, args=[wanted, rate, _ms(now)]))
        except StoreUnavailable:
            return wanted, 0.0
        return granted, wait_ms / 1000

    def throttle(self, brand_id: str, endpoint_id: str, *, now: datetime, seconds: float = THROTTLED_SECONDS) -> None:
        """Halve an endpoint's rate from now on; once more does not halve it again."""
        lasts_ms = max(1, math.ceil(seconds * 1000))
        try:
            with self._redis.asked():
                self._cache.set(throttle_key(brand_id, endpoint_id), _ms(now) + lasts_ms, px=lasts_ms)
        except StoreUnavailable:
            return  # said already

    def throttled(self, brand_id: str, endpoint_id: str, now: datetime) -> bool:
        """Whether an endpoint's rate is halved; `Breakers.permit` answers it too, in the same call."""
        try:
            with self._redis.asked():
                return is_throttled(cast(bytes | None, self._cache.get(throttle_key(brand_id, endpoint_id))), now)
        except StoreUnavailable:
            return False


def throttle_key(brand_id: str, endpoint_id: str) -> str:
    """Where it is kept until when an endpoint is throttled."""
    return f"telltale:throttled:{brand_id}:{endpoint_id}"


def is_throttled(value: bytes | None, now: datetime) -> bool:
    """What is kept there, read."""
    return value is not None and int(value) > _ms(now)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
