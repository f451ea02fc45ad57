"""What ingest remembers for a while of a message that was hit: whether its other events can change a verdict.

Four bits, how often clicks came, and the second of its hand-over per message, in Redis. They only save looking: who
finds a bit, or no Redis, or one that lost what it knew a short while ago, reads the message's events from MongoDB.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple, cast

import redis

from app.lib import clock
from app.lib.log import WARNING, log_event

_log = logging.getLogger("telltale.storage")

HIT = 1
"""It has an event."""
CLICKED = 2
"""It has an event that a burst, a sweep or an echo can be made of. Whoever leaves this also adds one to a count of
twelve bits behind the four: two at once see by it that they were two, whatever bits there were before."""
TAINTED = 4
"""A machine was certain there, or an event of it has been corrected."""
BUSY = 8
"""It has more events than anybody looks back over."""

# A message's numbers are at least four apart, so the two lowest bits name its slots. A page is 2**15 messages.
_SLOT_BITS = 2
_PAGE_BITS = 15
_PAGE_MASK = (1 << _PAGE_BITS) - 1
_KEPT_SECONDS = 3 * 3600
"""Longer than any two hits may be apart and still change each other's verdict (`BotPolicy.taint_seconds`)."""
_BLIND_SECONDS = 2 * 3600
"""For so long after Redis began with nothing, nothing it says of a message that is not there is believed."""
_EPOCH_2020 = 1_577_836_800

# KEYS: for each page its bits and its hand-overs. ARGV: the places in each. Answers the bits of a page as one text,
# then its hand-overs, each separated by blanks; no hand-overs when the page has none.
_READ = """
local answers = {}
for index = 1, #KEYS, 2 do
  local places = ARGV[(index + 1) / 2]
  local sent = redis.call('EXISTS', KEYS[index + 1]) == 1
  local bits, times = {}, {}
  for from = 1, #places, 2000 do
    local first, second = {KEYS[index]}, {KEYS[index + 1]}
    for at = from, math.min(from + 1996, #places), 4 do
      local place = '#' .. struct.unpack('>I4', places, at)
      first[#first + 1] = 'GET'
      first[#first + 1] = 'u16'
      first[#first + 1] = place
      if sent then
        second[#second + 1] = 'GET'
        second[#second + 1] = 'u32'
        second[#second + 1] = place
      end
    end
    for _, value in ipairs(redis.call('BITFIELD_RO', unpack(first))) do
      bits[#bits + 1] = value
    end
    if sent then
      for _, value in ipairs(redis.call('BITFIELD_RO', unpack(second))) do
        times[#times + 1] = value
      end
    end
  end
  answers[#answers + 1] = table.concat(bits, ' ')
  answers[#answers + 1] = table.concat(times, ' ')
end
return answers
"""
# KEYS: pages of bits. ARGV: their lifetime, then for each page its places and a text of the bits to set. Answers what
# was set before. One script, so that of two who leave something on one message the later sees the other's.
_LEAVE = """
local answers = {}
for index, key in ipairs(KEYS) do
  local places, wanted, before = ARGV[index * 2], ARGV[index * 2 + 1], {}
  for from = 1, #places, 2000 do
    local get, set, at_least = {key}, {key}, false
    for at = from, math.min(from + 1996, #places), 4 do
      get[#get + 1] = 'GET'
      get[#get + 1] = 'u16'
      get[#get + 1] = '#' .. struct.unpack('>I4', places, at)
    end
    for offset, old in ipairs(redis.call('BITFIELD_RO', unpack(get))) do
      local place = (from + 3) / 4 + offset - 1
      local added = string.byte(wanted, place) - 48
      local new = bit.bor(old, added)
      if bit.band(added, 2) ~= 0 then new = (new + 16) % 65536 end
      before[#before + 1] = old
      if new ~= old then
        at_least = true
        set[#set + 1] = 'SET'
        set[#set + 1] = 'u16'
        set[#set + 1] = get[offset * 3 + 1]
        set[#set + 1] = new
      end
    end
    if at_least then redis.call('BITFIELD', unpack(set)) end
  end
  redis.call('EXPIRE', key, ARGV[1])
  answers[#answers + 1] = table.concat(before, ' ')
end
return answers
"""


class Trace(NamedTuple):
    value: int
    """Its bits, and behind them the count."""
    handed_over_ms: int
    """When the message was handed over, rounded down to the second; 0 when nobody said, or long ago."""


class Traces:
    """Args:
    cache: a Redis that may forget.
    store_id: names the MongoDB the traces speak of.
    has_recent_events: whether that has any event of the last hours, which nothing is known of when Redis is new.
    """

    def __init__(self, cache: redis.Redis, store_id: str, has_recent_events: Callable[[int], bool]) -> None:
        self._cache = cache
        self._read = cache.register_script(_READ)
        self._leave = cache.register_script(_LEAVE)
        self._prefix = f"telltale:trace:{store_id}:"
        self._has_recent_events = has_recent_events

    def read(self, messages: Collection[int]) -> dict[int, Trace] | None:
        """The traces of those that have any; None when nobody can say, and every message is to be looked at.

        Raises:
            StoreUnavailable: Redis is new, and MongoDB does not say whether that matters.
        """
        pages = _pages(messages)
        if not pages:
            return {}
        keys = [name for page in pages for name in (f"{self._prefix}{page}", f"{self._prefix}{page}:sent")]
        try:
            if self._is_blind():
                return None
            answers = cast(list[bytes], self._read(keys=keys, args=[_packed(page) for page in pages.values()]))
        except redis.RedisError as error:
            log_event(_log, WARNING, "traces_unavailable", error=type(error).__name__)
            return None
        found: dict[int, Trace] = {}
        for index, members in enumerate(pages.values()):
            values, times = answers[2 * index].split(), answers[2 * index + 1].split()
            for place, message in enumerate(members):
                sent = int(times[place]) if times else 0
                if sent or values[place] != b"0":
                    found[message] = Trace(int(values[place]), (sent + _EPOCH_2020) * 1000 if sent else 0)
        return found

    def leave(self, bits: Mapping[int, int]) -> dict[int, int] | None:
        """Add bits to messages' traces.

        Returns:
            message → the value it had before; None when Redis is away.
        """
        pages = _pages(bits)
        if not pages:
            return {}
        wanted = [bytes(48 + bits[message] for message in members) for members in pages.values()]
        packed = [_packed(members) for members in pages.values()]
        arguments = [part for pair in zip(packed, wanted, strict=True) for part in pair]
        try:
            answers = cast(
                list[bytes],
                self._leave(keys=[f"{self._prefix}{page}" for page in pages], args=[_KEPT_SECONDS, *arguments]),
            )
        except redis.RedisError as error:
            log_event(_log, WARNING, "traces_unavailable", error=type(error).__name__)
            return None
        return {
            message: int(value)
            for members, answer in zip(pages.values(), answers, strict=True)
            for message, value in zip(members, answer.split(), strict=True)
        }

    def hand_over(self, message: int, at_ms: int) -> None:
        """Note when a message was handed over. A message of a sealed token has no trace: its events are always read."""
        for page, (place, *_) in _pages([message]).items():
            key = f"{self._prefix}{page}:sent"
            seconds = max(1, at_ms // 1000 - _EPOCH_2020)
            try:
                self._cache.bitfield(key).set("u32", f"#{(place >> _SLOT_BITS) & _PAGE_MASK}", seconds).execute()
                self._cache.expire(key, _KEPT_SECONDS)
            except redis.RedisError as error:
                log_event(_log, WARNING, "traces_unavailable", error=type(error).__name__)

    def _is_blind(self) -> bool:
        """Whether Redis began with nothing a short while ago although there were hits before."""
        key = f"{self._prefix}since"
        since = cast(bytes | None, self._cache.get(key))
        if since is None:
            now = clock.now_ms() // 1000
            began = now if self._has_recent_events((now - _BLIND_SECONDS) * 1000) else 0
            self._cache.set(key, began, nx=True)
            since = b"%d" % began
        return clock.now_ms() // 1000 - int(since) < _BLIND_SECONDS


def _pages(messages: Iterable[int]) -> dict[int, list[int]]:
    pages: dict[int, list[int]] = {}
    for message in messages:
        pages.setdefault(message >> (_SLOT_BITS + _PAGE_BITS), []).append(message)
    return pages


def _packed(members: list[int]) -> bytes:
    return struct.pack(f">{len(members)}I", *[(message >> _SLOT_BITS) & _PAGE_MASK for message in members])
