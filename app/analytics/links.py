"""Figures of single links: what was counted by block and slot, under the URL and the place in the content."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.models.block import FIRST_LINK_SLOT, SEALED_LINK_SLOTS, Block, Link, link_id
from app.models.count import CountKey


class Clicks(Protocol):
    """Of `app.storage.link_clicks.LinkClicks`."""

    @property
    def block(self) -> int | None: ...
    @property
    def slot(self) -> int: ...
    @property
    def counts(self) -> Counter[CountKey]: ...


@dataclass(slots=True)
class LinkRow:
    """A link, or all links with one URL."""

    url: str | None
    """As figures name it; None when nobody can say any more where a sealed token led."""
    label: str = ""
    slots: set[int] = field(default_factory=set)
    counts: Counter[CountKey] = field(default_factory=Counter)

    @property
    def link_ids(self) -> list[str]:
        return [link_id(slot) for slot in sorted(self.slots)]

    @property
    def position(self) -> int | None:
        """The place in the content, from 1; of a sealed token's link nobody knows it."""
        first = min(self.slots)
        return None if first >= SEALED_LINK_SLOTS else first - FIRST_LINK_SLOT + 1


def by_link(clicks: Iterable[Clicks], blocks: Mapping[int, Block], token_urls: Mapping[int, str]) -> list[LinkRow]:
    """A row for each URL at each place, in the order of the content. Traps are no links.

    Args:
        blocks: by start.
        token_urls: slot → URL of the links of sealed tokens.
    """
    rows: dict[tuple[int, str | None], LinkRow] = {}
    for clicked in clicks:
        link = _link(clicked, blocks, token_urls)
        if link is None or not link.trap:
            url = None if link is None else link.shown
            row = rows.setdefault((clicked.slot, url), LinkRow(url, "" if link is None else link.label))
            row.slots.add(clicked.slot)
            row.counts.update(clicked.counts)
    return sorted(rows.values(), key=lambda row: (min(row.slots), row.url or ""))


def by_url(
    clicks: Sequence[Clicks],
    joined_clicks: Sequence[Clicks],
    blocks: Mapping[int, Block],
    token_urls: Mapping[int, str],
) -> list[LinkRow]:
    """A row for each URL.

    Args:
        clicks: by slot.
        joined_clicks: of the blocks in `shared_tables`, with the slots of one URL counted as one; so a message that
            clicked the same URL at two places is in its row once.
    """
    again = {clicked.block for clicked in joined_clicks}
    counted = [*(clicked for clicked in clicks if clicked.block not in again), *joined_clicks]
    rows: dict[str, LinkRow] = {}
    for place in by_link(counted, blocks, token_urls):
        row = rows.setdefault(_same(place), LinkRow(place.url, place.label))
        row.slots |= place.slots
        row.counts.update(place.counts)
    for place in by_link(clicks, blocks, token_urls):
        if _same(place) in rows:
            rows[_same(place)].slots |= place.slots
    return list(rows.values())


def shared_tables(blocks: Iterable[Block]) -> list[tuple[list[int], list[int]]]:
    """Link tables that have one URL at several places.

    Returns:
        for each table the starts of the blocks that have it, and for each of its links the slot of the first link with
        that URL.
    """
    starts: defaultdict[tuple[tuple[str, bool], ...], list[int]] = defaultdict(list)
    for block in blocks:
        # A trap that leads to where a link leads is still no link.
        starts[tuple((link.shown, link.trap) for link in block.links)].append(block.start)
    return [
        (sorted(found), [FIRST_LINK_SLOT + table.index(link) for link in table])
        for table, found in starts.items()
        if len(set(table)) < len(table)
    ]


def _same(row: LinkRow) -> str:
    """What rows of one URL share; links whose URL nobody knows stay apart."""
    return row.url or row.link_ids[0]


def _link(clicked: Clicks, blocks: Mapping[int, Block], token_urls: Mapping[int, str]) -> Link | None:
    if clicked.block is None:
        url = token_urls.get(clicked.slot)
        return None if url is None else Link(url)
    block = blocks.get(clicked.block)
    return None if block is None else block.link_at(clicked.slot)
