"""Records to hits: which brand, block, message and slot each belongs to, and why one belongs to nobody.

A code names its block. A sealed token names nothing that is stored: what it carries becomes a message the first time
somebody hits it (`app.ingest.sealed`), and looks like any other from then on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple, Protocol

from app.brands import Brand
from app.ingest.sealed import SealedHit, SealedHits
from app.models.block import FIRST_LINK_SLOT, Block, Slot
from app.models.event import EventKind
from app.models.record import HitKind, Record
from app.tracking.codes import Codes
from app.tracking.tokens import TokenContent

# As plain integers: members of an IntEnum cost a look-up at every comparison.
_LAST_PIXEL, _UNSUBSCRIBE = int(Slot.PIXEL_FOOTER), int(Slot.UNSUBSCRIBE)
_ON_UNSUBSCRIBE = {"POST": EventKind.UNSUBSCRIBED, "GET": EventKind.VIEWED, "HEAD": EventKind.VIEWED}


class Hit(NamedTuple):
    """A record, and what it was found to belong to."""

    record: Record
    brand: Brand
    block: Block
    message: int
    slot: int
    kind: EventKind
    content: TokenContent | None = None
    """Of a sealed token."""


class BlockFinder(Protocol):
    def find_many(self, numbers: Collection[int]) -> dict[int, Block]: ...


class Brands(Protocol):
    def by_host(self, host: str) -> Brand | None: ...


class Erasures(Protocol):
    def among(self, messages: Collection[int]) -> set[int]:
        """Which of these messages belong to a person who was erased."""


class Attribution:
    """Finds what records belong to. Stateless."""

    def __init__(
        self, *, codes: Codes, blocks: BlockFinder, brands: Brands, sealed: SealedHits, erasures: Erasures
    ) -> None:
        self._codes = codes
        self._blocks = blocks
        self._brands = brands
        self._sealed = sealed
        self._erasures = erasures

    def run(self, records: list[Record]) -> tuple[list[Hit], Counter[str]]:
        """The hits of a batch, and how many records belong to nobody or must not be stored, by reason.

        Raises:
            StoreUnavailable: run the batch again later.
        """
        dropped: Counter[str] = Counter()
        brands = {host: self._brands.by_host(host) for host in {record.host for record in records}}
        numbers = self._numbers(records)
        blocks = self._blocks.find_many({number for number in numbers if number is not None})
        sealed = iter(
            self._sealed.open_many([(one, brand) for one in records if one.token and (brand := brands[one.host])])
        )
        hits: list[Hit] = []
        for record, number in zip(records, numbers, strict=True):
            brand = brands[record.host]
            if not record.token:
                found = _coded_hit(record, brand, number, blocks)
            else:
                found = "foreign_host" if brand is None else _sealed_hit(record, brand, next(sealed))
            if isinstance(found, str):
                dropped[found] += 1
            else:
                hits.append(found)
        erased = self._erasures.among({hit.message for hit in hits}) if hits else set()
        if erased:
            dropped["erased"] += sum(hit.message in erased for hit in hits)
            hits = [hit for hit in hits if hit.message not in erased]
        return hits, dropped

    def _numbers(self, records: list[Record]) -> list[int | None]:
        """The front writes down what it has decoded; whoever else writes a journal need not."""
        undecoded = [record.code for record in records if record.number is None and not record.token]
        decoded = iter(self._codes.decode_many(undecoded))
        return [record.number if record.number is not None or record.token else next(decoded) for record in records]


def _sealed_hit(record: Record, brand: Brand, found: SealedHit | None) -> Hit | str:
    if found is None:
        return "unknown_token"
    kind = kind_of_path(record)
    if kind is None:
        return "wrong_purpose"
    # Tokens are minted anywhere, so the brand's ceiling is kept here.
    if not _is_tracked(kind, opens=brand.track_opens, clicks=brand.track_clicks):
        return "untracked"
    if found.erased:
        return "erased"
    return Hit(record, brand, found.block, found.block.start, found.slot, kind, found.content)


def _coded_hit(record: Record, brand: Brand | None, number: int | None, blocks: dict[int, Block]) -> Hit | str:
    """The hit of a code, or why there is none."""
    if number is None:
        return "unknown_code"
    block = blocks.get(number)
    if block is None:
        return "unknown_block"
    if brand is None or brand.id != block.brand_id:
        return "foreign_host"
    slot = block.slot_of(number)
    kind = _kind_at(record.kind, record.method, slot)
    if kind is None:
        return "wrong_purpose"
    if not _is_tracked(kind, opens=block.track_opens, clicks=block.track_clicks):
        return "untracked"
    return Hit(record, brand, block, number - slot, slot, kind)


def _is_tracked(kind: EventKind, *, opens: bool, clicks: bool) -> bool:
    """Whether a hit may be kept. An unsubscribe always is. A look at its page is evidence about clicks, and nothing
    without them."""
    if kind is EventKind.OPENED:
        return opens
    return clicks or kind is EventKind.UNSUBSCRIBED


@lru_cache(maxsize=1024)
def _kind_at(path: HitKind, method: str, slot: int) -> EventKind | None:
    """The event of a hit; None when the code is for another purpose than the path it came by."""
    kind = _kind_by(path, method)
    if kind is EventKind.OPENED:
        return kind if slot <= _LAST_PIXEL else None
    if kind is EventKind.CLICKED:
        return kind if slot >= FIRST_LINK_SLOT else None
    return kind if slot == _UNSUBSCRIBE else None


def kind_of_path(record: Record) -> EventKind | None:
    """The event that a path asks for, whatever its code is for; None when the front answers no such request."""
    return _kind_by(record.kind, record.method)


def _kind_by(path: HitKind, method: str) -> EventKind | None:
    if path is HitKind.OPEN:
        return EventKind.OPENED
    if path is HitKind.CLICK:
        return EventKind.CLICKED
    return _ON_UNSUBSCRIBE.get(method)
