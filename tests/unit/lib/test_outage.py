"""A store that does not answer is not asked again at once."""

from __future__ import annotations

import pytest

from app.errors import StoreUnavailable
from app.lib.outage import Outage


class Store:
    """Counts who asks it, and answers or does not; its clock is moved by hand."""

    def __init__(self) -> None:
        self.now, self.asked, self.away = 0.0, 0, True
        self.outage = Outage(monotonic=lambda: self.now)

    def ask(self) -> None:
        with self.outage.noticed():
            self.asked += 1
            if self.away:
                raise StoreUnavailable("test")


def test_a_store_that_is_away_is_asked_at_growing_intervals_up_to_four_seconds() -> None:
    store = Store()
    asked_at = []
    for tick in range(200):
        store.now = tick / 10
        before = store.asked
        with pytest.raises(StoreUnavailable):
            store.ask()
        if store.asked > before:
            asked_at.append(store.now)
    assert asked_at == [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5]


def test_the_first_answer_ends_the_outage() -> None:
    store = Store()
    with pytest.raises(StoreUnavailable):
        store.ask()
    store.away, store.now = False, 0.5
    store.ask()
    store.ask()
    store.away = True
    with pytest.raises(StoreUnavailable):
        store.ask()
    assert store.asked == 4


def test_another_error_is_no_outage() -> None:
    store = Store()
    with pytest.raises(KeyError), store.outage.noticed():
        raise KeyError
    store.away = False
    store.ask()
