"""Rows of links: what was counted by slot, under URLs and places."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import NamedTuple

from app.analytics.links import by_link, by_url, shared_tables
from app.models.block import FIRST_LINK_SLOT, SEALED_LINK_SLOTS, Block, Channel, Link
from app.models.count import CountKey
from app.models.event import FIRST

A, B = Link("https://alder.example/a", "A"), Link("https://alder.example/b")
TRAP = Link(A.destination, trap=True)
KEY = CountKey("", "", "", "clicked", "human", True, FIRST)
TOKEN = SEALED_LINK_SLOTS + 1


class Clicked(NamedTuple):
    block: int | None
    slot: int
    counts: Counter[CountKey]


def block(start: int, *links: Link) -> Block:
    return Block(
        start, 1, FIRST_LINK_SLOT + len(links), "alder", Channel.EMAIL, links, datetime(2026, 1, 1, tzinfo=UTC)
    )


def clicked(start: int | None, place: int, number: int) -> Clicked:
    return Clicked(start, place if start is None else FIRST_LINK_SLOT - 1 + place, Counter({KEY: number}))


BLOCKS = {
    100: block(100, A, B, A, TRAP),
    200: block(200, A, B, A, TRAP),
    300: block(300, B, A),
    400: block(400, A, TRAP),
}


def test_only_tables_with_one_url_at_several_places_are_shared_and_a_trap_is_no_place() -> None:
    assert shared_tables(BLOCKS.values()) == [([100, 200], [4, 5, 4, 7])]


def test_a_link_is_its_place_and_its_url() -> None:
    clicks = [clicked(100, 1, 1), clicked(200, 1, 2), clicked(300, 1, 4), clicked(100, 3, 8), clicked(100, 4, 99)]
    rows = by_link([*clicks, clicked(None, TOKEN, 16)], BLOCKS, {TOKEN: A.destination})
    assert [(row.url, row.position, row.link_ids, row.counts[KEY]) for row in rows] == [
        (A.destination, 1, ["lnk_1"], 3),
        (B.destination, 1, ["lnk_1"], 4),
        (A.destination, 3, ["lnk_3"], 8),
        (A.destination, None, ["lnk_s0000001"], 16),
    ]
    assert rows[0].label == "A"


def test_a_url_has_the_joined_counts_and_all_its_places() -> None:
    clicks = [clicked(100, 1, 5), clicked(100, 3, 5), clicked(100, 2, 1), clicked(300, 2, 4), clicked(None, TOKEN, 2)]
    # The five messages of the block that clicked at both places are five.
    joined = [clicked(100, 1, 5), clicked(100, 2, 1)]
    rows = by_url(clicks, joined, BLOCKS, {TOKEN: A.destination})
    assert {row.url: (row.link_ids, row.counts[KEY]) for row in rows} == {
        A.destination: (["lnk_1", "lnk_2", "lnk_3", "lnk_s0000001"], 5 + 4 + 2),
        B.destination: (["lnk_2"], 1),
    }


def test_links_whose_url_nobody_knows_stay_apart() -> None:
    clicks = [clicked(None, TOKEN, 1), clicked(None, TOKEN + 1, 2)]
    for rows in (by_link(clicks, {}, {}), by_url(clicks, [], {}, {})):
        assert [(row.url, row.link_ids, row.counts[KEY]) for row in rows] == [
            (None, ["lnk_s0000001"], 1),
            (None, ["lnk_s0000002"], 2),
        ]
