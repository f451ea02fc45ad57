"""What a search for events asks and what it finds, and the words that text is made of.

The same question goes to MongoDB (`app.storage.event_search`) and to the search index (`app.search`), and both must
give the same answer: so what a word is stands here, and neither asks its store to take text apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from app.models.event import EventKind, Verdict

SearchPlace = tuple[int, bytes]
"""(recorded milliseconds, id): where an event stands in the order of a search."""

SETTLE_MS = 20_000
"""How long after its stamp an event is surely stored: an insert has 7 seconds, a correction's transaction 15."""
MOST_EXPIRED = 20_000
"""Events that are taken out of the index in one request."""
WORD = re.compile(r"[0-9A-Za-z\x80-\U0010ffff]+")
"""ASCII letters and digits, and whatever is not ASCII; the rest stands between words."""
LONGEST_WORD = 64
"""Characters of a word that is looked for."""
LONGEST_KEPT = 256
"""Characters that are kept of a word in the index: more than anybody can look for."""
MOST_WORDS = 8
SHORTEST_BEGINNING = 3
"""Characters in front of a `*`: fewer would begin half of all words."""
MOST_VALUES = 50
"""Of a facet."""


class Word(NamedTuple):
    text: str
    """Folded."""
    beginning: bool = False
    """Also every word that begins so."""


class LinkPlaces(NamedTuple):
    """Links as events know them."""

    slot: int
    blocks: tuple[int, ...]
    """Their starts."""


class Facet(StrEnum):
    TYPE = "type"
    VERDICT = "verdict"
    REASON = "reason"
    CAMPAIGN = "campaign"


class Interval(StrEnum):
    HOUR = "hour"
    DAY = "day"

    @property
    def ms(self) -> int:
        return 3_600_000 if self is Interval.HOUR else 86_400_000


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """Which of a brand's events are looked for; every condition must hold."""

    brand_id: str
    since_ms: Mapping[EventKind, int]
    """The kinds, each recorded at or after this: kinds are kept for different times."""
    until_ms: int
    """Recorded before this."""
    words: tuple[Word, ...] = ()
    """Each in the user agent, the campaign, a reason, or the list or the job source of the block."""
    verdict: Verdict | None = None
    counted: bool | None = None
    reason: str | None = None
    campaign_id: str | None = None
    list_id: str | None = None
    """Of the block, as `job_source`: what a message itself says of them goes when its person is erased."""
    job_source: str | None = None
    links: tuple[LinkPlaces, ...] | None = None
    """Of one of these; none of them, and nothing is found. Resolved before the question: what links lead to is sealed
    at rest, and in no index."""
    messages: tuple[int, ...] = ()
    """Of each of these: of two messages there is no event."""

    @property
    def first_ms(self) -> int:
        return min(self.since_ms.values(), default=self.until_ms)

    @property
    def is_empty(self) -> bool:
        """Nothing can be found: every kind's time is past, or there is no such link."""
        return self.first_ms >= self.until_ms or self.links == ()


class References(NamedTuple):
    """What a block's events belong to, besides a campaign."""

    list_id: str | None = None
    job_source: str | None = None


NO_REFERENCES = References()


class FacetCounts(NamedTuple):
    values: list[tuple[str, int]]
    """(value, events), at most `MOST_VALUES`: the most first, among equals by the value."""
    others: int
    """Events under values that are not listed; one with two reasons counts twice."""


class Summary(NamedTuple):
    total: int
    facets: dict[Facet, FacetCounts]
    histogram: list[tuple[int, int]]
    """(start of the hour or the day in milliseconds, events), without those that have none."""


class Finder(Protocol):
    """One way to search; the same question has the same answer in each."""

    def page(self, query: SearchQuery, *, before: SearchPlace | None, limit: int, seconds: float) -> list[SearchPlace]:
        """The latest `limit` events, those before a place where one is given; the latest first.

        Raises:
            TooWide: not within `seconds`.
            StoreUnavailable: the store does not answer.
        """

    def summary(
        self, query: SearchQuery, *, facets: Iterable[Facet], interval: Interval | None, seconds: float
    ) -> Summary:
        """How many there are, by what; as `page`."""


class TooWide(Exception):
    """There is more to look through than one call may take."""


def fold(char: str) -> str:
    """A character without its case, where upper and lower case lead to each other and to nothing else."""
    lower = char.lower()
    return lower if len(lower) == 1 and lower.upper() == char else char


def unfold(char: str) -> str:
    """A folded character and the one other that folds to it, if there is one."""
    upper = char.upper()
    return char + upper if len(upper) == 1 and upper != char and fold(upper) == char else char


def words_of(text: str) -> frozenset[str]:
    """The words of a text, folded and cut to `LONGEST_KEPT`."""
    return frozenset(run[:LONGEST_KEPT] for run in _runs(text))


def _runs(text: str) -> list[str]:
    if text.isascii():
        return WORD.findall(text.lower())
    return ["".join(map(fold, run)) for run in WORD.findall(text)]


def read_words(text: str) -> tuple[Word, ...]:
    """The words that somebody looks for: all must be there, in any order. Only a `*` at the end of a part means
    anything, that its last word is a beginning.

    Raises:
        ValueError: one sentence, without the text.
    """
    found: dict[Word, None] = {}
    for part in text.split():
        runs = _runs(part)
        for place, run in enumerate(runs, 1):
            beginning = place == len(runs) and part.endswith("*")
            if len(run) > LONGEST_WORD:
                raise ValueError(f"a word may have at most {LONGEST_WORD} characters")
            if beginning and len(run) < SHORTEST_BEGINNING:
                raise ValueError(f"at least {SHORTEST_BEGINNING} letters or digits must stand in front of a *")
            found[Word(run, beginning)] = None
    if not found:
        raise ValueError("must have a letter or a digit")
    if len(found) > MOST_WORDS:
        raise ValueError(f"may have at most {MOST_WORDS} words")
    return tuple(found)


class SearchState(NamedTuple):
    """How far a brand's events are in the search index."""

    run: int
    """Grows with every claim."""
    generation: str
    """The name of the index that the rest speaks of; empty before there is one."""
    after: SearchPlace | None
    """The last event that is in the index, in the order of recording."""
    until_ms: int
    """Everything recorded before this is found by a search."""
    expired_at: datetime | None
    """When what is past keeping was last taken out."""
