"""Which (message, kind) certainly has its first event in MongoDB already: bits in Redis that save refused inserts.

A bit is set only after MongoDB has the first event, so a set bit is true and a missing one means "ask MongoDB".
Losing Redis costs refused inserts, never a figure. Bits lie in pages of the number space that expire.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import redis

from app.models.event import EventKind

_PAGE_BITS = 17
_SECONDS = 14 * 24 * 3600
_LETTERS = {EventKind.SENT: "s", EventKind.OPENED: "o", EventKind.CLICKED: "c", EventKind.UNSUBSCRIBED: "u"}

Pair = tuple[int, EventKind]


class FirstHints:
    """Args:
    cache: a Redis that may forget.
    store_id: names the MongoDB these bits speak of, so that bits never outlive an emptied database.
    """

    def __init__(self, cache: redis.Redis, store_id: str) -> None:
        self._cache = cache
        self._prefix = f"telltale:first:{store_id}:"

    def known(self, pairs: Sequence[Pair]) -> set[Pair]:
        """Those of the pairs that have a first event. One call to Redis per batch; empty when Redis is away."""
        pages = self._pages(pairs)
        try:
            with self._cache.pipeline(transaction=False) as pipe:
                for key, members in pages.items():
                    command: list[str | int] = ["BITFIELD", key]
                    for message, _ in members:
                        command += ("GET", "u1", message & (1 << _PAGE_BITS) - 1)
                    pipe.execute_command(*command)  # type: ignore[no-untyped-call]  # untyped in redis-py
                answers = pipe.execute()
        except redis.RedisError:
            return set()
        return {
            pair
            for members, bits in zip(pages.values(), answers, strict=True)
            for pair, bit in zip(members, bits, strict=True)
            if bit
        }

    def remember(self, pairs: Iterable[Pair]) -> None:
        """Note pairs whose first event MongoDB has acknowledged."""
        pages = self._pages(pairs)
        try:
            with self._cache.pipeline(transaction=False) as pipe:
                for key, members in pages.items():
                    command: list[str | int] = ["BITFIELD", key]
                    for message, _ in members:
                        command += ("SET", "u1", message & (1 << _PAGE_BITS) - 1, 1)
                    pipe.execute_command(*command)  # type: ignore[no-untyped-call]  # untyped in redis-py
                    pipe.expire(key, _SECONDS)
                pipe.execute()
        except redis.RedisError:
            return  # only a hint

    def _pages(self, pairs: Iterable[Pair]) -> dict[str, list[Pair]]:
        pages: dict[str, list[Pair]] = {}
        for pair in pairs:
            key = f"{self._prefix}{_LETTERS[pair[1]]}:{pair[0] >> _PAGE_BITS}"
            pages.setdefault(key, []).append(pair)
        return pages
