"""What a figure is made of: a sum over counts, or a ratio of sums. All are in `app.analytics.definitions`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.models.count import CountKey

Counts = Mapping[CountKey, int]
"""As `Batches.figures` and `recount` answer them, or any part or sum of it."""


class Unit(StrEnum):
    EVENTS = "events"
    MESSAGES = "messages"
    RATIO = "ratio"


class View(StrEnum):
    """Which figures are shown. A figure means the same in both."""

    COUNTED = "counted"
    """What people did, and what proxies did for them."""
    ALL = "all"
    """Also what machines did, and what is not counted."""


@dataclass(frozen=True, slots=True)
class Sum:
    """How many events or messages there are of some keys."""

    name: str
    unit: Unit
    words: str
    takes: Callable[[CountKey], bool]
    view: View = View.COUNTED
    """The smaller view that shows it."""

    def of(self, counts: Counts) -> int:
        return sum(number for key, number in counts.items() if self.takes(key))


@dataclass(frozen=True, slots=True)
class Ratio:
    """A part of a whole, from 0 up; not a percentage."""

    name: str
    words: str
    part: tuple[Sum, ...]
    whole: Sum
    view: View = View.COUNTED
    unit: Unit = Unit.RATIO

    def of(self, counts: Counts) -> float | None:
        """None when the whole is nothing."""
        whole = self.whole.of(counts)
        return round(sum(figure.of(counts) for figure in self.part) / whole, 6) if whole else None


Figure = Sum | Ratio
