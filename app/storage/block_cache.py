"""Finds the block of a number: this process's memory, then Redis, then MongoDB. Blocks never change, so no copy is old.

Redis holds the stored form (destinations sealed) under the block's start, and the newest starts in a sorted set
so that a number finds its start. Losing Redis costs time only.
"""

from __future__ import annotations

import logging
from bisect import bisect_right, insort
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC
from typing import Any, cast

import bson
import bson.errors
import redis
from bson.codec_options import CodecOptions

from app.errors import PermanentError, StoreUnavailable
from app.lib.log import WARNING, log_event
from app.lib.outage import Outage
from app.models.block import Block
from app.storage.blocks import Blocks
from app.storage.client import Document

_log = logging.getLogger("telltale.storage")

_STARTS = "telltale:blocks"
_STARTS_KEPT = 200_000
_FEW = 2
"""So many numbers are asked for one by one; with more of them it pays to know first where the blocks begin and end."""
_BLOCK_SECONDS = 3 * 24 * 3600
_CODEC: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)


class BlockCache:
    """Args:
    blocks: the truth.
    cache: may lose everything at any time, may be down.
    kept: blocks kept in this process at most.
    """

    def __init__(self, blocks: Blocks, cache: redis.Redis, *, kept: int = 20_000) -> None:
        self._blocks = blocks
        self._cache = cache
        self._kept = kept
        self._mongo_outage = Outage()
        self._redis_outage = Outage()
        self._starts: list[int] = []
        self._by_start: OrderedDict[int, Block] = OrderedDict()

    def cached(self, number: int) -> Block | None:
        """From this process's memory only."""
        index = bisect_right(self._starts, number)
        if not index:
            return None
        block = self._by_start[self._starts[index - 1]]
        return block if number < block.end else None

    def find(self, number: int) -> Block | None:
        """The block that holds a number, None when there is none.

        Raises:
            StoreUnavailable: it is not in a cache and MongoDB does not answer.
        """
        return self.cached(number) or self.find_many([number]).get(number)

    def find_many(self, numbers: Iterable[int]) -> dict[int, Block]:
        """The blocks of many numbers: at most two calls to Redis, and one to MongoDB per block found nowhere else.

        Numbers that were never given out cost two calls together, however many they are: a guessed code's number is
        nearly always before the first or behind the last block (there are 2.6 × 10¹⁴).

        Returns:
            number → block, without the numbers that belong to none.

        Raises:
            StoreUnavailable: one is not in a cache and MongoDB does not answer, now or a moment ago.
        """
        found: dict[int, Block] = {}
        missing: list[int] = []
        block, end = None, 0
        for number in sorted(numbers):
            # In order, because most numbers of a batch are of the block that the one before is of.
            if number >= end:
                block = self.cached(number)
                end = 0 if block is None else block.end
            if block is None:
                missing.append(number)
            else:
                found[number] = block
        if missing:
            self._from_redis(missing)
            known: range | None = None
            for number in sorted(set(missing)):
                block = self.cached(number)
                if block is None and len(missing) > _FEW:
                    known = self._bounds() if known is None else known
                    if number not in known:
                        continue
                block = block or self._from_mongo(number)
                if block is not None:
                    found[number] = block
        return found

    def starting_at(self, starts: Iterable[int]) -> dict[int, Block]:
        """Blocks by their starts, for reports. What hits rely on is left alone: no block of theirs makes room for
        these, and a report that takes too long is no outage.

        Raises:
            StoreUnavailable: one is not in this process's memory and MongoDB does not answer.
        """
        wanted = set(starts)
        found = {start: block for start in wanted if (block := self._by_start.get(start)) is not None}
        if missing := sorted(wanted - found.keys()):
            found |= {block.start: block for block in self._blocks.starting_at(missing)}
        return found

    def _bounds(self) -> range:
        with self._mongo_outage.noticed():
            return self._blocks.bounds()

    def _from_redis(self, numbers: list[int]) -> None:
        copies: list[Any] = []
        with suppress(StoreUnavailable), self._redis_asked():
            with self._cache.pipeline(transaction=False) as pipe:
                for number in numbers:
                    pipe.zrevrangebyscore(_STARTS, number, 0, start=0, num=1)
                starts = {int(row[0]) for row in pipe.execute() if row}
            wanted = [start for start in starts if start not in self._by_start]
            copies = self._cache.mget([_block_key(start) for start in wanted]) if wanted else []
        for copy in copies:
            if copy is not None:
                try:
                    self._remember(self._blocks.from_document(bson.decode(cast(bytes, copy), _CODEC)))
                except (PermanentError, bson.errors.BSONError) as error:
                    # MongoDB has the truth; a copy that cannot be opened is one we do not have.
                    log_event(_log, WARNING, "cached_block_unreadable", error=type(error).__name__)

    def _from_mongo(self, number: int) -> Block | None:
        with self._mongo_outage.noticed():
            document = self._blocks.find_document(number)
        if document is None:
            return None
        block = self._blocks.from_document(document)
        self._remember(block)
        with suppress(StoreUnavailable), self._redis_asked(), self._cache.pipeline(transaction=False) as pipe:
            pipe.set(_block_key(block.start), bson.encode(document), ex=_BLOCK_SECONDS)
            pipe.zadd(_STARTS, {str(block.start): block.start})
            pipe.zremrangebyrank(_STARTS, 0, -_STARTS_KEPT - 1)
            pipe.execute()
        return block

    @contextmanager
    def _redis_asked(self) -> Iterator[None]:
        """Ask Redis within this. Its absence is said here and suppressed by the caller: MongoDB answers instead.

        Raises:
            StoreUnavailable: it did not answer, now or a moment ago.
        """
        with self._redis_outage.noticed():
            try:
                yield
            except redis.RedisError as error:
                log_event(_log, WARNING, "block_cache_unavailable", error=type(error).__name__)
                raise StoreUnavailable(type(error).__name__) from error

    def _remember(self, block: Block) -> None:
        if block.start in self._by_start:
            return
        if len(self._by_start) >= self._kept:
            oldest, _ = self._by_start.popitem(last=False)
            self._starts.pop(bisect_right(self._starts, oldest) - 1)
        self._by_start[block.start] = block
        insort(self._starts, block.start)


def _block_key(start: int) -> str:
    return f"telltale:block:{start}"
