"""Gives out numbers: a counter in Redis that may only count inside ranges that MongoDB has reserved for it.

Why two stores: Redis is fast and may forget. An asynchronous failover or a restart from an old file makes a
plain Redis counter go back, and every number it gives twice is a link that leads to somebody else's page.
So each incarnation of Redis (its `run_id`) counts only in a range that was taken from MongoDB's mark for it
alone: a flushed, restarted, promoted or second Redis starts a new range, and the rest of the old one is wasted.

A new MongoDB begins at a random place. A deployment that lost its database, or started over with the same code key,
then does not give the numbers of links that are out there already to somebody else.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import cast

import redis
from bson import Int64
from pymongo import ReturnDocument
from pymongo.database import Database

from app.errors import StoreUnavailable
from app.storage.client import Document, translated

_RANGE = 1 << 20
_MARK = "numbers"
_KEY = "telltale:numbers"

# KEYS[1] the counter; ARGV: size, store, and optionally a fresh range (low, high) for this incarnation.
# Answers the start, or false when a fresh range is needed.
_RESERVE = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') .. ARGV[2]
local size = tonumber(ARGV[1])
local state = redis.call('HMGET', KEYS[1], 'next', 'high', 'run')
local next, high = tonumber(state[1]), tonumber(state[2])
if state[3] ~= run or not next or next + size > high then
  if #ARGV < 4 then return false end
  next, high = tonumber(ARGV[3]), tonumber(ARGV[4])
end
redis.call('HSET', KEYS[1], 'next', string.format('%.0f', next + size), 'high', string.format('%.0f', high), 'run', run)
return string.format('%.0f', next)
"""


class Numbers:
    """Reserves ranges of numbers that nobody else ever gets.

    Args:
        database: holds the mark, in the collection `counters`.
        counter: a `noeviction` Redis.
        limit: numbers stay below it.
        store_id: names the MongoDB, so that a counter never goes on in a range of another one.
    """

    INDEXES = ()

    def __init__(
        self, database: Database[Document], counter: redis.Redis, *, limit: int, store_id: Callable[[], str]
    ) -> None:
        self._marks = database["counters"]
        self._blocks = database["blocks"]
        self._reserve = counter.register_script(_RESERVE)
        self._counter = counter
        self._limit = limit
        self._store_id = store_id

    def reserve(self, size: int) -> int:
        """The first of `size` consecutive numbers, now the caller's for ever.

        Without Redis the numbers come from MongoDB directly: slower, equally safe.

        Raises:
            StoreUnavailable: MongoDB did not answer.
            ValueError: all numbers are used up (2.6e14 of them) or `size` is not positive.
        """
        if size < 1:
            raise ValueError("size must be positive")
        store = self._store_id()
        try:
            start = self._reserve(keys=[_KEY], args=[size, store])
            if start is None:
                low, high = self._take_range(max(size, _RANGE))
                start = self._reserve(keys=[_KEY], args=[size, store, low, high])
        except redis.RedisError:
            start, _ = self._take_range(size)
        return int(start)

    def _take_range(self, size: int) -> tuple[int, int]:
        """Raise the mark first; whoever raised it owns what lies between."""
        with translated():
            mark = self._marks.find_one_and_update(
                {"_id": _MARK},
                [{"$set": {"next": {"$add": [{"$ifNull": ["$next", Int64(self._somewhere())]}, Int64(size)]}}}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        high = int(mark["next"]) if mark else 0
        if high > self._limit:
            raise ValueError("no numbers are left")
        return high - size, high

    def _somewhere(self) -> int:
        """Where a new MongoDB begins: in the lower half, at a whole range."""
        return 1 + secrets.randbelow(max(1, self._limit // 2 // _RANGE)) * _RANGE

    def check(self) -> list[str]:
        """The high-water check: what is wrong with the counter, empty when nothing is.

        A mark below the end of a stored block, or of the range that Redis counts in, means MongoDB lost writes (a
        restored backup): the mark is then raised past both, so that no number is given a second time, and that is
        reported.
        """
        with translated():
            mark = self._marks.find_one({"_id": _MARK})
            last = self._blocks.find_one({}, {"end": 1}, sort=[("_id", -1)])
        reserved_to = int(mark["next"]) if mark else 0
        used_to = max(int(last["end"]) if last else 0, self._counted_to())
        if reserved_to >= used_to:
            return []
        with translated():
            self._marks.update_one({"_id": _MARK}, {"$max": {"next": Int64(used_to + _RANGE)}}, upsert=True)
        try:
            # The range that Redis counts in came from the lost mark; without the key it must ask for a new one.
            self._counter.delete(_KEY)
        except redis.RedisError as error:
            raise StoreUnavailable(type(error).__name__) from error
        return [f"the mark was {used_to - reserved_to} numbers behind the numbers in use and has been raised"]

    def _counted_to(self) -> int:
        """The end of the range that Redis counts in, when it was taken from this MongoDB."""
        try:
            run, high = cast(list[bytes | None], self._counter.hmget(_KEY, ["run", "high"]))
        except redis.RedisError as error:
            raise StoreUnavailable(type(error).__name__) from error
        return int(high) if run and high and run.endswith(self._store_id().encode()) else 0
