"""Counts held against a recount: what differs is found, what came in meanwhile is no difference."""

from __future__ import annotations

from app.analytics.differences import Difference, differences
from app.models.count import CountKey
from app.models.event import AGAIN, FIRST

OPEN = CountKey("alder", "spring", "2026-01-01", "opened", "human", True, FIRST, "header")
FOOTER = OPEN._replace(part="footer", rank=AGAIN)


def test_equal_counts_do_not_differ() -> None:
    assert differences({OPEN: 3, FOOTER: 0}, {OPEN: 3}, {OPEN: 3}) == []


def test_too_many_and_too_few_are_found() -> None:
    assert differences({OPEN: 3}, {OPEN: 2, FOOTER: 1}, {OPEN: 3}) == [
        Difference(FOOTER, 0, 1),
        Difference(OPEN, 3, 2),
    ]


def test_what_came_in_meanwhile_is_no_difference() -> None:
    assert differences({OPEN: 3}, {OPEN: 4}, {OPEN: 5, FOOTER: 1}) == []


def test_counts_from_before_pixels_were_told_apart_are_compared_without_them() -> None:
    old = {OPEN._replace(part=""): 2, OPEN: 1, OPEN._replace(part="implied"): 1}
    assert differences(old, {OPEN: 3, OPEN._replace(part="implied"): 1}, old) == []
    other_day = OPEN._replace(day="2026-01-02")
    assert (
        len(differences({**old, other_day: 1}, {OPEN: 3, other_day._replace(part="footer"): 1}, {**old, other_day: 1}))
        == 3
    )
