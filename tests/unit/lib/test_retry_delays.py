"""Which delays an endpoint may have."""

from __future__ import annotations

import math

import pytest

from app.lib.retry_delays import check_delays

DAY = 86_400.0


@pytest.mark.parametrize("delays", [(), (5,), (1, DAY), (DAY,) * 7, (60,) * 20])
def test_delays_within_the_limits_stay_as_they_are(delays: tuple[float, ...]) -> None:
    assert check_delays(delays) == delays


@pytest.mark.parametrize("delays", [(60,) * 21, (DAY + 1,), (0.9,), (-1,), (math.nan,), (math.inf,), (DAY,) * 7 + (1,)])
def test_too_many_too_long_and_no_delays_at_all_are_refused(delays: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
        check_delays(delays)
