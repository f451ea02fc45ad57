"""Traces of messages (`app.models.trace`) in Redis, read and left by ingest once per batch each.

They save looking for other events of a message, and inserts that MongoDB would refuse: it refuses a whole group of
inserts for one that is not first and does them again one by one, which costs more than everything else in ingest. Who
finds no Redis, or one that lost what it knew a short while ago, looks and tries: no verdict and no figure differs.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, cast

import redis

from app.lib import clock
from app.lib.log import WARNING, log_event
from app.models.event import Place
from app.models.trace import CLICKED, CLICKS, COUNTED_OPENS, IMPLIES, ONE_CLICK, PERSON_OPENED, claimed, known_bit

_log = logging.getLogger("telltale.storage")

# A message's numbers are at least four apart, so the two lowest bits name its slots. A page is 2**15 messages, 128 KiB.
_SLOT_BITS = 2
_PAGE_BITS = 15
_PAGE_MASK = (1 << _PAGE_BITS) - 1
_KEPT_SECONDS = 14 * 24 * 3600
_HANDED_OVER_SECONDS = 3600
"""Longer than a hand-over has a say, and a journal may be behind."""
_BLIND_SECONDS = 2 * 3600
"""For so long after Redis began with nothing, it is not believed: longer than two hits may be apart and still change
each other's verdict (`BotPolicy.taint_seconds`)."""
_EPOCH_2020 = 1_577_836_800

# KEYS: for each page its traces and its hand-overs. ARGV: the lifetime; whether hand-overs are asked for; then for each
# page the offsets of its places and the bits to set in each, four bytes every one. Answers for each page what was there
# before, four bytes every one, and the hand-overs, or nothing when the page has none. One script, so that of two who
# leave something on one message the later sees the other's. Five hundred at a time: many values in few calls.
_TOUCH = f"""
local function read(key, offsets)
  local command, at = {{key}}, 1
  for _, offset in ipairs(offsets) do
    command[at + 1], command[at + 2], command[at + 3] = 'GET', 'u32', offset
    at = at + 3
  end
  return redis.call('BITFIELD_RO', unpack(command))
end
local answers = {{}}
for index = 1, #KEYS, 2 do
  local key, places, wanted = KEYS[index], ARGV[index + 2], ARGV[index + 3]
  local before, times, changed = {{}}, {{}}, false
  local sent = ARGV[2] == '1' and redis.call('EXISTS', KEYS[index + 1]) == 1
  for from = 1, #places, 2000 do
    local count = math.min(500, (#places - from + 1) / 4)
    local format = '>' .. string.rep('I4', count)
    local offsets, added = {{struct.unpack(format, places, from)}}, {{struct.unpack(format, wanted, from)}}
    offsets[count + 1] = nil
    local old, set, at = read(key, offsets), {{key}}, 1
    for place = 1, count do
      local was, more = old[place], added[place]
      if bit.band(more, {IMPLIES}) ~= 0 then
        more = bit.band(more, bit.bnot({IMPLIES}))
        if bit.band(was, {COUNTED_OPENS}) == 0 then more = bit.bor(more, {claimed(PERSON_OPENED)}) end
      end
      local new = bit.bor(was, more)
      if bit.band(more, {CLICKED}) ~= 0 then
        new = bit.bor(bit.band(new, bit.bnot({CLICKS})), bit.band(new + {ONE_CLICK}, {CLICKS}))
      end
      if new ~= was then
        set[at + 1], set[at + 2], set[at + 3], set[at + 4] = 'SET', 'u32', offsets[place], new
        at = at + 4
      end
    end
    if at > 1 then
      redis.call('BITFIELD', unpack(set))
      changed = true
    end
    before[#before + 1] = struct.pack(format, unpack(old))
    if sent then times[#times + 1] = struct.pack(format, unpack(read(KEYS[index + 1], offsets))) end
  end
  if changed then redis.call('EXPIRE', key, ARGV[1]) end
  answers[#answers + 1] = table.concat(before)
  answers[#answers + 1] = table.concat(times)
end
return answers
"""
# KEYS: one page. ARGV: pairs of an offset and bits to clear.
_CLEAR = """
for index = 1, #ARGV, 2 do
  local old = redis.call('BITFIELD_RO', KEYS[1], 'GET', 'u32', ARGV[index])[1]
  redis.call('BITFIELD', KEYS[1], 'SET', 'u32', ARGV[index], bit.band(old, bit.bnot(tonumber(ARGV[index + 1]))))
end
"""


class Pages(NamedTuple):
    """Where the traces of some messages are."""

    members: list[list[int]]
    """The messages of each page, in the order of the rest."""
    keys: list[str]
    offsets: list[bytes]
    """Of the members, packed."""


class Entered(NamedTuple):
    """What was known of messages before a batch."""

    pages: Pages
    """For `leave`, when it is of the same messages: finding them out is half of what it costs here."""
    traces: Mapping[int, int]
    """Message → its trace."""
    handed_over: Mapping[int, int]
    """Message → when it was handed over, in milliseconds rounded down to the second; without those nobody spoke of."""


class Traces:
    """Args:
    cache: a Redis that may forget.
    store_id: names the MongoDB the traces speak of, so that they never outlive an emptied database.
    has_recent_events: whether that has any event since a moment; nothing is known of it when Redis is new.
    """

    def __init__(self, cache: redis.Redis, store_id: str, has_recent_events: Callable[[int], bool]) -> None:
        self._cache = cache
        self._touch = cache.register_script(_TOUCH)
        self._clear = cache.register_script(_CLEAR)
        self._prefix = f"telltale:trace:{store_id}:"
        self._has_recent_events = has_recent_events

    def enter(self, claims: Mapping[int, int]) -> Entered | None:
        """The traces of messages, to which the claims are added.

        Args:
            claims: message → the bits that say what a batch is about to store of it; every message of the batch.

        Returns:
            None when nobody can say: every message is to be looked at, and every insert to be tried.
        Raises:
            StoreUnavailable: Redis is new, and MongoDB does not say whether that matters.
        """
        try:
            if self._is_blind():
                return None
            pages = self._pages(claims)
            answers = self._ask(pages, claims, handed_over=True)
        except redis.RedisError as error:
            log_event(_log, WARNING, "traces_unavailable", error=type(error).__name__)
            return None
        handed_over: dict[int, int] = {}
        for members, times in zip(pages.members, answers[1::2], strict=True):
            for message, seconds in zip(members, _unpacked(times), strict=False):
                if seconds:
                    handed_over[message] = (seconds + _EPOCH_2020) * 1000
        return Entered(pages, _by_message(pages, answers), handed_over)

    def leave(self, bits: Mapping[int, int], pages: Pages | None = None) -> Mapping[int, int] | None:
        """Add bits to messages' traces.

        Args:
            pages: when it is known where their traces are; exactly of the messages in `bits`.

        Returns:
            message → its trace before; None when Redis is away.
        """
        try:
            pages = self._pages(bits) if pages is None else pages
            return _by_message(pages, self._ask(pages, bits, handed_over=False))
        except redis.RedisError as error:
            log_event(_log, WARNING, "traces_unavailable", error=type(error).__name__)
            return None

    def forget_firsts(self, places: Iterable[Place]) -> None:
        """A correction left these places without a first event, or may have."""
        bits: dict[int, int] = {}
        for place in places:
            bits[place[0]] = bits.get(place[0], 0) | known_bit(place)
        pages = self._pages(bits)
        for key, members in zip(pages.keys, pages.members, strict=True):
            arguments = [text for message in members for text in (_offset(message), bits[message])]
            try:
                self._clear(keys=[key], args=arguments)
            except redis.RedisError as error:
                log_event(_log, WARNING, "traces_unavailable", error=type(error).__name__)

    def hand_over(self, message: int, at_ms: int) -> None:
        """Note when a message was handed over."""
        key = f"{self._prefix}{message >> (_SLOT_BITS + _PAGE_BITS)}:sent"
        seconds = max(1, at_ms // 1000 - _EPOCH_2020)
        try:
            self._cache.bitfield(key).set("u32", _offset(message), seconds).execute()
            self._cache.expire(key, _HANDED_OVER_SECONDS)
        except redis.RedisError as error:
            log_event(_log, WARNING, "traces_unavailable", error=type(error).__name__)

    def _pages(self, messages: Iterable[int]) -> Pages:
        pages: dict[int, list[int]] = {}
        for message in messages:
            page = message >> (_SLOT_BITS + _PAGE_BITS)
            members = pages.get(page)
            if members is None:
                pages[page] = [message]
            else:
                members.append(message)
        offsets = [_packed([_offset(message) for message in members]) for members in pages.values()]
        return Pages(list(pages.values()), [f"{self._prefix}{page}" for page in pages], offsets)

    def _ask(self, pages: Pages, bits: Mapping[int, int], *, handed_over: bool) -> list[bytes]:
        if not pages.keys:
            return []
        keys: list[str] = []
        arguments: list[bytes] = []
        for members, key, offsets in zip(pages.members, pages.keys, pages.offsets, strict=True):
            keys += (key, f"{key}:sent")
            arguments += (offsets, _packed([bits[message] for message in members]))
        # Places and bits as one argument each, because a thousand cost more than all the rest.
        return cast(list[bytes], self._touch(keys=keys, args=[_KEPT_SECONDS, int(handed_over), *arguments]))

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


def _offset(message: int) -> int:
    """Of a message's 32 bits in its page, in bits."""
    return (message >> _SLOT_BITS & _PAGE_MASK) << 5


def _packed(numbers: Sequence[int]) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)


def _unpacked(numbers: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(numbers) // 4}I", numbers)


def _by_message(pages: Pages, answers: Sequence[bytes]) -> dict[int, int]:
    found: dict[int, int] = {}
    for members, values in zip(pages.members, answers[::2], strict=True):
        found.update(zip(members, _unpacked(values), strict=True))
    return found
