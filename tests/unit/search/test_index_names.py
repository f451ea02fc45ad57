"""Names of indexes: by brand and month, and no brand's name reaches into another's."""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatch

import pytest

from app.search.names import Names


def ms(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc]


def test_an_index_is_of_a_brand_and_a_month_of_utc() -> None:
    assert Names().of("alder", ms(2026, 1, 31, 23, 59, 59)) == "telltale.alder.2026-01"
    assert Names("other").of("alder", ms(2026, 2, 1)) == "other.alder.2026-02"


def test_a_time_takes_every_month_it_touches_and_no_other() -> None:
    names = list(Names().between("alder", ms(2025, 11, 30, 23), ms(2026, 2, 1)))
    assert names == ["telltale.alder.2025-11", "telltale.alder.2025-12", "telltale.alder.2026-01"]
    assert list(Names().between("alder", ms(2026, 1, 5), ms(2026, 1, 5))) == []


def test_a_month_ends_where_the_next_begins() -> None:
    assert Names().end_ms("telltale.alder.2025-12") == ms(2026, 1, 1)
    assert Names().end_ms("telltale.alder.2026-02") == ms(2026, 3, 1)


@pytest.mark.parametrize("other", ["alder-2", "alder_2", "alder2", "al", "der"])
def test_no_brands_pattern_reaches_another_brands_indexes(other: str) -> None:
    names = Names()
    assert fnmatch(names.of("alder", ms(2026, 1, 1)), names.every("alder"))
    assert not fnmatch(names.of(other, ms(2026, 1, 1)), names.every("alder"))
    assert not fnmatch(names.of("alder", ms(2026, 1, 1)), names.every(other))


@pytest.mark.parametrize("prefix", ["", "a.b", "a*"])
def test_a_prefix_that_would_reach_further_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError):
        Names(prefix)
