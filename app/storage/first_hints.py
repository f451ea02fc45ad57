"""Guesses which place (message, kind, share) already has its first event: bits in Redis that save refused inserts.

Two bits per place. `known` is set only after MongoDB has the first event, so a set bit is true. `claimed` says that a
batch is about to store one: a second batch then does not try, and looks afterwards (`EventStore.confirm_firsts`).
MongoDB refuses a whole group of inserts for one that is not first and does them again one by one, which costs more
than everything else in ingest; without Redis exactly that happens, and no figure changes.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable, Sequence
from typing import cast

import redis

from app.lib.log import WARNING, log_event
from app.models.event import EventKind, Place, Share

_log = logging.getLogger("telltale.storage")

# A page is 2**17 numbers in 16 KiB; pages expire, which costs refused inserts and no more.
_PAGE_BITS = 17
_PAGE_MASK = (1 << _PAGE_BITS) - 1
_KNOWN_SECONDS = 14 * 24 * 3600
_CLAIMED_SECONDS = 600
_FREE, _KNOWN = b"01"
_KINDS = {
    EventKind.SENT: "s",
    EventKind.OPENED: "o",
    EventKind.CLICKED: "c",
    EventKind.UNSUBSCRIBED: "u",
    EventKind.VIEWED: "v",
}
_SHARES = {Share.HUMAN: "", Share.PROXY: "p", Share.MACHINE: "m", Share.APPLE: "a"}
_LETTERS = {(kind, share): letter + which for kind, letter in _KINDS.items() for share, which in _SHARES.items()}

# One BITFIELD per page and 500 places, not one SETBIT per place: the append-only file then gets one command too.
_BITS = """
local function bits(key, places, from, verb, value)
  local command = {key}
  for at = from, math.min(from + 1996, #places), 4 do
    command[#command + 1] = verb
    command[#command + 1] = 'u1'
    command[#command + 1] = (struct.unpack('>I4', places, at))
    command[#command + 1] = value
  end
  return redis.call('BITFIELD', unpack(command))
end
"""
# KEYS: a page of known bits and one of claimed bits, in turn. ARGV: the lifetime of claims, then the places asked for.
# Answers a text per page: 0 free until now and claimed by this call, 1 known, 2 claimed by somebody else. A known place
# is claimed as well, which says nothing new.
_CLAIM = (
    _BITS
    + """
local answers = {}
for index = 1, #KEYS, 2 do
  local places, found = ARGV[(index + 1) / 2 + 1], {}
  for from = 1, #places, 2000 do
    local known = bits(KEYS[index], places, from, 'GET', nil)
    local claimed = bits(KEYS[index + 1], places, from, 'SET', 1)
    for at = 1, #known do
      found[#found + 1] = known[at] == 1 and '1' or claimed[at] == 1 and '2' or '0'
    end
  end
  redis.call('EXPIRE', KEYS[index + 1], ARGV[1])
  answers[#answers + 1] = table.concat(found)
end
return answers
"""
)
# KEYS: pages of known bits. ARGV: their lifetime, the value of the bit, then the places in each.
_REMEMBER = (
    _BITS
    + """
for index, key in ipairs(KEYS) do
  local places = ARGV[index + 2]
  for from = 1, #places, 2000 do
    bits(key, places, from, 'SET', ARGV[2])
  end
  redis.call('EXPIRE', key, ARGV[1])
end
"""
)


class FirstHints:
    """Args:
    cache: a Redis that may forget.
    store_id: names the MongoDB these bits speak of, so that bits never outlive an emptied database.
    """

    def __init__(self, cache: redis.Redis, store_id: str) -> None:
        self._claim = cache.register_script(_CLAIM)
        self._remember = cache.register_script(_REMEMBER)
        self._prefix = f"telltale:first:{store_id}:"

    def claim(self, places: Sequence[Place]) -> tuple[set[Place], set[Place]]:
        """One call to Redis per batch.

        Returns:
            the places that have a first event for certain, and those that the caller should try to be first with:
            all of them when Redis is away.
        """
        pages = self._pages(places)
        if not pages:
            return set(), set()
        keys = [name for key in pages for name in (key, key + ":claimed")]
        try:
            answers = cast(
                list[bytes],
                self._claim(keys=keys, args=[_CLAIMED_SECONDS, *(_packed(page) for page in pages.values())]),
            )
        except redis.RedisError as error:
            log_event(_log, WARNING, "hints_unavailable", error=type(error).__name__)
            return set(), set(places)
        known: set[Place] = set()
        free: set[Place] = set()
        for members, found in zip(pages.values(), answers, strict=True):
            for place, answer in zip(members, found, strict=True):
                if answer == _KNOWN:
                    known.add(place)
                elif answer == _FREE:
                    free.add(place)
        return known, free

    def remember(self, places: Iterable[Place]) -> None:
        """Note places whose first event MongoDB has acknowledged."""
        self._note(places, known=1)

    def forget(self, places: Iterable[Place]) -> None:
        """Take that back: a correction left these places without a first event."""
        self._note(places, known=0)

    def _note(self, places: Iterable[Place], *, known: int) -> None:
        pages = self._pages(places)
        if not pages:
            return
        packed = [_packed(page) for page in pages.values()]
        try:
            self._remember(keys=list(pages), args=[_KNOWN_SECONDS, known, *packed])
        except redis.RedisError as error:
            log_event(_log, WARNING, "hints_unavailable", error=type(error).__name__)

    def _pages(self, places: Iterable[Place]) -> dict[str, list[Place]]:
        pages: dict[tuple[EventKind, Share, int], list[Place]] = {}
        for place in places:
            page = (place[1], place[2], place[0] >> _PAGE_BITS)
            members = pages.get(page)
            if members is None:
                pages[page] = [place]
            else:
                members.append(place)
        return {
            f"{self._prefix}{_LETTERS[kind, share]}:{page}": members for (kind, share, page), members in pages.items()
        }


def _packed(page: list[Place]) -> bytes:
    """The places of a page's bits, four bytes each: one argument, because a thousand cost more than the rest."""
    return struct.pack(f">{len(page)}I", *[message & _PAGE_MASK for message, _, _ in page])
