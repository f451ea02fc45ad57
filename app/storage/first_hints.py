"""Which (message, kind) certainly has its first event in MongoDB already: bits in Redis that save refused inserts.

A bit is set only after MongoDB has the first event, so a set bit is true and a missing one means "ask MongoDB".
Losing Redis costs refused inserts, never a figure. Bits lie in pages of the number space that expire.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable, Sequence
from typing import cast

import redis

from app.lib.log import WARNING, log_event
from app.models.event import EventKind

_log = logging.getLogger("telltale.storage")

_PAGE_BITS = 17
_PAGE_MASK = (1 << _PAGE_BITS) - 1
_SECONDS = 14 * 24 * 3600
_ONE = ord("1")
_LETTERS = {EventKind.SENT: "s", EventKind.OPENED: "o", EventKind.CLICKED: "c", EventKind.UNSUBSCRIBED: "u"}

Pair = tuple[int, EventKind]


# KEYS: pages; ARGV: the places asked for in each. Answers a text of 0 and 1 per page.
_GET = """
local answers = {}
for index, key in ipairs(KEYS) do
  local places, bits = ARGV[index], {}
  for at = 1, #places, 4 do
    bits[#bits + 1] = redis.call('GETBIT', key, (struct.unpack('>I4', places, at)))
  end
  answers[index] = table.concat(bits)
end
return answers
"""
# As above; ARGV begins with the lifetime in seconds.
_SET = """
for index, key in ipairs(KEYS) do
  local places = ARGV[index + 1]
  for at = 1, #places, 4 do
    redis.call('SETBIT', key, (struct.unpack('>I4', places, at)), 1)
  end
  redis.call('EXPIRE', key, ARGV[1])
end
"""


class FirstHints:
    """Args:
    cache: a Redis that may forget.
    store_id: names the MongoDB these bits speak of, so that bits never outlive an emptied database.
    """

    def __init__(self, cache: redis.Redis, store_id: str) -> None:
        self._get = cache.register_script(_GET)
        self._set = cache.register_script(_SET)
        self._prefix = f"telltale:first:{store_id}:"

    def known(self, pairs: Sequence[Pair]) -> set[Pair]:
        """Those of the pairs that have a first event. One call to Redis per batch; empty when Redis is away."""
        pages = self._pages(pairs)
        if not pages:
            return set()
        try:
            answers = cast(list[bytes], self._get(keys=list(pages), args=[_packed(page) for page in pages.values()]))
        except redis.RedisError as error:
            log_event(_log, WARNING, "hints_unavailable", error=type(error).__name__)
            return set()
        return {
            pair
            for members, bits in zip(pages.values(), answers, strict=True)
            for pair, bit in zip(members, bits, strict=True)
            if bit == _ONE
        }

    def remember(self, pairs: Iterable[Pair]) -> None:
        """Note pairs whose first event MongoDB has acknowledged."""
        pages = self._pages(pairs)
        if not pages:
            return
        try:
            self._set(keys=list(pages), args=[_SECONDS, *(_packed(page) for page in pages.values())])
        except redis.RedisError as error:
            log_event(_log, WARNING, "hints_unavailable", error=type(error).__name__)

    def _pages(self, pairs: Iterable[Pair]) -> dict[str, list[Pair]]:
        pages: dict[tuple[EventKind, int], list[Pair]] = {}
        for pair in pairs:
            page = (pair[1], pair[0] >> _PAGE_BITS)
            members = pages.get(page)
            if members is None:
                pages[page] = [pair]
            else:
                members.append(pair)
        return {f"{self._prefix}{_LETTERS[kind]}:{page}": members for (kind, page), members in pages.items()}


def _packed(page: list[Pair]) -> bytes:
    """The places of a page's bits, four bytes each: one argument, because a thousand cost more than the rest."""
    return struct.pack(f">{len(page)}I", *[message & _PAGE_MASK for message, _ in page])
