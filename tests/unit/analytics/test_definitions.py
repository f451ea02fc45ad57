"""Each figure on counts small enough to add up by hand, and what holds between figures whatever happened."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.analytics.definitions import FIGURES, OF_LINKS, shown, values
from app.analytics.figure import Ratio, View
from app.models.count import CountKey
from app.models.event import AGAIN, FIRST, FIRST_APPLE, FIRST_MACHINE, FIRST_OF_OTHER

OPEN = CountKey("alder", "spring", "2026-01-01", "opened", "human", True, FIRST, "header")
PROXY = OPEN._replace(share="proxy", part="footer")
CLICK = OPEN._replace(kind="clicked", part="")
MACHINE = CLICK._replace(share="machine", counted=False, rank=FIRST_MACHINE)

COUNTS = {
    CLICK._replace(kind="sent"): 200,
    OPEN: 50,
    OPEN._replace(rank=AGAIN, part="footer", day="2026-01-02"): 30,
    OPEN._replace(rank=FIRST_OF_OTHER): 6,
    OPEN._replace(part="implied", campaign_id="autumn"): 4,
    PROXY: 20,
    PROXY._replace(rank=FIRST_OF_OTHER): 3,
    PROXY._replace(rank=AGAIN): 1,
    PROXY._replace(rank=AGAIN, counted=False): 7,
    OPEN._replace(share="apple", counted=False, rank=FIRST_APPLE): 40,
    OPEN._replace(share="apple", counted=False, rank=AGAIN): 5,
    OPEN._replace(share="machine", counted=False, rank=FIRST_MACHINE): 8,
    OPEN._replace(share="machine", counted=False, rank=AGAIN): 2,
    CLICK: 10,
    CLICK._replace(rank=AGAIN): 15,
    CLICK._replace(rank=AGAIN, counted=False): 3,
    MACHINE: 12,
    MACHINE._replace(rank=AGAIN): 59,
    MACHINE._replace(share="apple", rank=FIRST_APPLE): 1,
    CLICK._replace(kind="unsubscribed"): 5,
    CLICK._replace(kind="viewed", counted=False, rank=AGAIN): 9,
    MACHINE._replace(kind="reclassified", rank=AGAIN): 11,
}
BY_HAND = {
    "sent": 200,
    "opened.total": 50 + 30 + 6 + 4 + 20 + 3 + 1,
    "opened.unique": 50 + 4 + 20,
    "opened.human.total": 50 + 30 + 6 + 4,
    "opened.human.unique": 50 + 6 + 4,
    "opened.proxy.total": 20 + 3 + 1,
    "opened.proxy.unique": 20 + 3,
    "opened.implied": 4,
    "opened.header": 50 + 6,
    "opened.footer": 30 + 20 + 3 + 1,
    "opened.machine.total": 10,
    "opened.machine.unique": 8,
    "opened.apple.total": 45,
    "opened.apple.unique": 40,
    "opened.uncounted": 7,
    "opened.all": 114 + 10 + 45 + 7,
    "clicked.total": 25,
    "clicked.unique": 10,
    "clicked.human.total": 25,
    "clicked.human.unique": 10,
    "clicked.machine.total": 71,
    "clicked.machine.unique": 12,
    "clicked.apple.total": 1,
    "clicked.apple.unique": 1,
    "clicked.uncounted": 3,
    "clicked.all": 100,
    "clicked.machine_share": 0.72,
    "unsubscribed": 5,
    "viewed.total": 9,
    "corrected": 11,
    "open_rate": 0.37,
    "click_rate": 0.05,
    "click_to_open_rate": 0.135135,
    "unsubscribe_rate": 0.025,
}


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_a_figure_is_what_one_adds_up_by_hand(figure: Any) -> None:
    assert figure.of(COUNTS) == BY_HAND[figure.name]
    assert values((figure,), COUNTS) == {figure.name: BY_HAND[figure.name]}


def test_every_figure_has_a_name_of_its_own_and_words() -> None:
    assert [figure.name for figure in FIGURES] == list(BY_HAND)
    for figure in FIGURES:
        assert figure.words.endswith(".")
        assert 20 < len(figure.words) < 450


def test_nothing_counted_makes_noughts_and_no_rates() -> None:
    for figure in FIGURES:
        assert figure.of({}) == (None if isinstance(figure, Ratio) else 0)


def test_a_correction_takes_from_one_figure_and_gives_to_another() -> None:
    after = Counter(COUNTS)
    after.update({CLICK: -1, MACHINE._replace(rank=AGAIN): 1})
    found = values(FIGURES, after)
    assert (found["clicked.unique"], found["clicked.machine.total"], found["clicked.all"]) == (9, 72, 100)


def test_the_smaller_view_is_a_part_of_the_larger_and_shows_no_machines() -> None:
    counted, everything = shown(FIGURES, View.COUNTED), shown(FIGURES, View.ALL)
    assert everything == FIGURES
    assert set(counted) < set(everything)
    assert not [figure.name for figure in counted if "machine" in figure.name or "apple" in figure.name]
    assert {figure.name for figure in shown(OF_LINKS, View.COUNTED)} == {
        "clicked.total",
        "clicked.unique",
        "clicked.human.total",
        "clicked.human.unique",
    }


Hit = tuple[int, str, str, bool]
"""Message, kind, share, counted."""
HITS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 4), st.just("opened"), st.sampled_from(["human", "proxy"]), st.booleans()),
        st.tuples(st.integers(0, 4), st.just("clicked"), st.just("human"), st.booleans()),
        st.tuples(
            st.integers(0, 4),
            st.sampled_from(["opened", "clicked"]),
            st.sampled_from(["machine", "apple"]),
            st.just(False),
        ),
    ),
    max_size=30,
)


def counted(hits: Sequence[Hit]) -> Counter[CountKey]:
    """Hits with the ranks that ingest gives them."""
    counts: Counter[CountKey] = Counter()
    seen: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
    for message, kind, share, is_counted in hits:
        before = seen[message, kind]
        rank = AGAIN
        if is_counted and share not in before:
            rank = FIRST_OF_OTHER if before & {"human", "proxy"} else FIRST
        elif share in ("machine", "apple") and share not in before:
            rank = FIRST_MACHINE if share == "machine" else FIRST_APPLE
        if is_counted or share in ("machine", "apple"):
            before.add(share)
        counts[CountKey("b", "", "2026-01-01", kind, share, is_counted, rank)] += 1
    return counts


@given(HITS)
def test_uniques_are_the_messages_whatever_the_order(hits: list[Hit]) -> None:
    found = values(FIGURES, counted(hits))
    for kind in ("opened", "clicked"):
        shares = ("human", "proxy", "machine", "apple") if kind == "opened" else ("human", "machine", "apple")
        for share in shares:
            mine = [hit for hit in hits if hit[1:3] == (kind, share) and (hit[3] or share in ("machine", "apple"))]
            assert found[f"{kind}.{share}.total"] == len(mine)
            assert found[f"{kind}.{share}.unique"] == len({hit[0] for hit in mine})
        assert found[f"{kind}.unique"] == len({hit[0] for hit in hits if hit[1] == kind and hit[3]})


@given(HITS)
def test_what_holds_between_figures(hits: list[Hit]) -> None:
    found: dict[str, Any] = values(FIGURES, counted(hits))
    for kind in ("opened", "clicked"):
        human, proxy = found[f"{kind}.human.unique"], found.get(f"{kind}.proxy.unique", 0)
        assert max(human, proxy) <= found[f"{kind}.unique"] <= human + proxy
        assert found[f"{kind}.total"] == found[f"{kind}.human.total"] + found.get(f"{kind}.proxy.total", 0)
        for figure in (kind, f"{kind}.human", f"{kind}.machine", f"{kind}.apple"):
            assert found[f"{figure}.unique"] <= found[f"{figure}.total"]
        parts = ("total", "machine.total", "apple.total", "uncounted")
        assert found[f"{kind}.all"] == sum(found[f"{kind}.{part}"] for part in parts)
    share = found["clicked.machine_share"]
    assert share is None or 0 <= share <= 1
