"""Networks whose verdict is known for certain, in `data/known.txt`: no list may change it.

A line is a network and what it must be (`google`) or must not be (`!cloud`); `nothing` stands for none at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from app.ingest.networks.ranges import Span, span_of
from app.ingest.networks.table import Table
from app.models.signals import CLOUD, GOOGLE, MICROSOFT, RELAY, SCANNER, YAHOO

NAMES = {
    "relay": RELAY,
    "microsoft": MICROSOFT,
    "google": GOOGLE,
    "yahoo": YAHOO,
    "cloud": CLOUD,
    "scanner": SCANNER,
}
_FILE = Path(__file__).parent / "data" / "known.txt"


class Known(NamedTuple):
    """What is certain of one network."""

    text: str
    span: Span
    must: int
    """Bits that every address of it has."""
    must_not: int
    """Bits that no address of it has."""


class Violation(NamedTuple):
    """A network that would not be what it is."""

    network: str
    name: str
    """Of the bit."""
    wanted: bool

    def __str__(self) -> str:
        return f"{self.network} {'would no longer be' if self.wanted else 'would become'} {self.name}"


@cache
def known() -> tuple[Known, ...]:
    """Raises:
    ValueError: the shipped file is broken.
    """
    lines = (line.partition("#")[0].split() for line in _FILE.read_text(encoding="utf-8").splitlines())
    return tuple(_known(words[0], words[1:]) for words in lines if words)


def violations(table: Table, entries: Iterable[Known]) -> list[Violation]:
    """What a table gets wrong of what is known."""
    wrong: list[Violation] = []
    for entry in entries:
        parts = list(table.within(entry.span))
        for name, bit in NAMES.items():
            if entry.must & bit and not all(bits & bit for bits in parts):
                wrong.append(Violation(entry.text, name, wanted=True))
            if entry.must_not & bit and any(bits & bit for bits in parts):
                wrong.append(Violation(entry.text, name, wanted=False))
    return wrong


def _known(network: str, words: list[str]) -> Known:
    must = must_not = 0
    for word in words:
        if word == "nothing":
            must_not |= sum(NAMES.values())
        elif word.startswith("!"):
            must_not |= NAMES[word[1:]]
        else:
            must |= NAMES[word]
    if not must | must_not:
        raise ValueError(f"{network} says nothing")
    return Known(network, span_of(network), must, must_not)
