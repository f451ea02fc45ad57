"""Counts on markers and in rollups: read together, narrowed in MongoDB, also those from before ranks and parts."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import pytest
from pymongo.database import Database

from app.errors import StoreUnavailable
from app.models.count import CountKey
from app.models.event import AGAIN, FIRST, FIRST_APPLE
from app.storage.batches import Batches
from app.storage.count_query import CountQuery
from app.storage.link_clicks import ClickQuery, clicks_per_link

OPEN = CountKey("acme", "spring", "2026-01-02", "opened", "human", True, FIRST, "header")
OTHERS = (
    OPEN._replace(brand_id="other"),
    OPEN._replace(campaign_id=""),
    OPEN._replace(day="2026-01-03", rank=AGAIN, part="footer"),
    OPEN._replace(share="apple", counted=False, rank=FIRST_APPLE),
)


@pytest.fixture
def batches(database: Database[dict[str, Any]]) -> Batches:
    found = Batches(database)
    database["batches"].create_indexes(list(found.INDEXES))
    database["rollups"].create_indexes(list(found.ROLLUP_INDEXES))
    return found


def mark(batches: Batches, name: str, counts: dict[CountKey, int]) -> None:
    batches.mark(name, counts, records=1, dropped={})


def test_counts_are_one_sum_before_and_after_compaction(batches: Batches) -> None:
    mark(batches, "one", {OPEN: 3, **dict.fromkeys(OTHERS, 2)})
    batches.compact()
    mark(batches, "two", {OPEN: 4, OTHERS[2]: -1})
    expected = {OPEN: 7, OTHERS[1]: 2, OTHERS[2]: 1, OTHERS[3]: 2}
    assert batches.figures("acme") == expected
    batches.compact()
    assert batches.figures("acme") == expected


def test_counts_from_before_ranks_are_read_with_todays(batches: Batches, database: Database[dict[str, Any]]) -> None:
    """As the version before stored them: `first` in the place of the rank, no part."""
    old = {"b": "acme", "c": "spring", "d": "2026-01-02", "k": "opened", "v": "human", "n": True}
    database["rollups"].insert_many(
        [
            {"_id": {**old, "f": True}, "count": 5, "b": "acme", "d": "2026-01-02"},
            {"_id": {**old, "f": False}, "count": 6, "b": "acme", "d": "2026-01-02"},
        ]
    )
    rows = [[*old.values(), first, 1] for first in (True, False)]
    marker = {"_id": "old", "at": 0, "records": 2, "open": 0, "counts": rows}
    database["batches"].insert_one(marker)
    expected = {OPEN._replace(part=""): 6, OPEN._replace(part="", rank=AGAIN): 7}
    assert batches.figures("acme") == expected
    batches.compact()
    assert batches.figures("acme") == expected
    mark(batches, "new", {OPEN: 1})
    batches.compact()
    assert batches.figures("acme") == {**expected, OPEN: 1}


@pytest.mark.parametrize("compacted", [False, True])
def test_only_what_is_asked_for_is_added_up(batches: Batches, compacted: bool) -> None:
    mark(batches, "one", {OPEN: 3, **dict.fromkeys(OTHERS, 2)})
    if compacted:
        batches.compact()

    def total(**asked: Any) -> int:
        return batches.figures("acme", CountQuery(**asked)).total()

    assert total() == 9
    assert total(first_day=date(2026, 1, 3)) == 2
    assert total(last_day=date(2026, 1, 2)) == 7
    assert total(first_day=date(2026, 1, 4)) == 0
    assert total(campaign_ids=["spring"]) == 7
    assert total(campaign_ids=[""]) == 2
    whole = batches.figures("acme", CountQuery(by_day=False, by_campaign=False))
    assert whole == Counter(
        {key._replace(day="", campaign_id=""): number for key, number in {OPEN: 5, OTHERS[2]: 2, OTHERS[3]: 2}.items()}
    )


def test_campaigns_are_listed_by_id_wherever_they_are_counted(batches: Batches) -> None:
    for name in ("d", "b", ""):
        mark(batches, f"compacted {name}", {OPEN._replace(campaign_id=name): 1})
    batches.compact()
    for name in ("c", "b", "e"):
        mark(batches, f"waiting {name}", {OPEN._replace(campaign_id=name): 1})
    mark(batches, "other", {OPEN._replace(campaign_id="a", brand_id="other"): 1})
    assert batches.campaigns("acme", CountQuery(), most=9) == ["", "b", "c", "d", "e"]
    assert batches.campaigns("acme", CountQuery(), most=2) == ["", "b"]
    assert batches.campaigns("acme", CountQuery(after_campaign="b"), most=2) == ["c", "d"]
    assert batches.campaigns("acme", CountQuery(last_day=date(2026, 1, 1)), most=9) == []


def test_reading_for_somebody_who_waits_ends_in_time(batches: Batches, database: Database[dict[str, Any]]) -> None:
    moment = 1e-6
    with pytest.raises(StoreUnavailable):
        batches.figures("acme", seconds=moment)
    with pytest.raises(StoreUnavailable):
        batches.campaigns("acme", CountQuery(), most=1, seconds=moment)
    with pytest.raises(StoreUnavailable):
        clicks_per_link(database, ClickQuery("acme", 0, 1, "spring"), most=1, seconds=moment)
