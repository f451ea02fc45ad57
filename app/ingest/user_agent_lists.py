"""Two maintained lists of machines' user agents, read as data and compiled into one RE2 set.

Their own matchers are not used: one takes 165 µs for an agent, the other can be held up for seconds by a hostile one.
Patterns that hit people are switched off below, each with whom it hits; a test fails when one of them is no longer in
its list. What the packages look like inside is not promised, so everything is checked when it is read: a list that
moved or shrank stops the process at its start instead of letting machines pass for people.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import re2

from app.errors import ConfigurationError

_AT_LEAST = 1000
"""Fewer patterns than this are no list: both have had more than 1,400 for years."""
_MATCHER_BYTES = 16 << 20
"""What RE2 may keep of the states it has met. Ordinary traffic needs 9 MB; with 8 it is six times slower."""


def _crawler_user_agents() -> list[object]:
    # Importing the package would keep all of its data in memory for nothing.
    spec = find_spec("crawleruseragents")
    if spec is None or spec.origin is None:
        raise ImportError("crawleruseragents is not installed")
    data = Path(spec.origin).with_name("crawler-user-agents.json").read_text(encoding="utf-8")
    return [entry["pattern"] for entry in json.loads(data)]


def _crawlerdetect() -> list[object]:
    return list(import_module("crawlerdetect.providers.crawlers").data)


class MachineList(NamedTuple):
    """A list of machines: where its patterns come from, how they are meant, and which are not used."""

    name: str
    read: Callable[[], list[object]]
    flags: str
    off: Mapping[str, str]


LISTS = (
    MachineList(
        name="crawler-user-agents",
        read=_crawler_user_agents,
        flags="",
        off=MappingProxyType(
            {
                r"AP3A\.240617\.008": "people on OPPO, realme and OnePlus phones: the build of their Android",
                "Fever": "people on a phone of this name (Fever Plus)",
                "Sonic": "people on a phone of this name (O+ Sonic)",
                "Butterfly": "people on a phone of this name (HTC Butterfly)",
                "Viber": "people who open a link inside the chat program",
                "coccoc": "people with the browser Coc Coc; its crawlers call themselves bots",
                r"Notion\/": "people who read in the desktop program",
                "Sogou": "people with the browser Sogou Explorer; its crawlers call themselves spiders",
                r"008\/": "people whose browser's version ends so",
            }
        ),
    ),
    MachineList(
        name="crawlerdetect",
        read=_crawlerdetect,
        flags="(?i)",
        off=MappingProxyType(
            {
                "Microsoft Office": "people who read in Outlook on Windows",
                "Microsoft Outlook": "people who read in Outlook on Windows",
                "Outlook-Express": "people who read in Windows Live Mail",
                "Outlook-iOS": "people who read in Outlook on an iPhone",
                r"MacOutlook\/": "people who read in Outlook on a Mac",
                "Airmail": "people who read in this mail program",
                r"^Mail\/": "people who read in Apple Mail",
                "Canary%20Mail": "people who read in this mail program",
                r"Polymail\/": "people who read in this mail program",
                "libwww": "people with the text browser Lynx; libraries are found by our own rules",
                "LibWeb": "people with the browser Ladybird",
                r"Slack\/": "people who read in the desktop program",
                r"voyager\/": "people with the browser AmigaVoyager",
                "Pump": "people whose phone or app has this in its name",
                "coccoc": "people with the browser Coc Coc; its crawlers call themselves bots",
                r"008\/": "people whose browser's version ends so",
                "Yandex(?!Search)": "RE2 has no look-ahead; our own rules say the same",
            }
        ),
    ),
)


class KnownMachines:
    """Every pattern that is used, of all lists.

    Args:
        lists: the lists to read.

    Raises:
        ConfigurationError: a list is not what it was, or has a pattern that RE2 does not know.
    """

    def __init__(self, lists: tuple[MachineList, ...] = LISTS) -> None:
        options = re2.Options()
        options.max_mem = _MATCHER_BYTES
        options.log_errors = False
        self._set = re2.Set.SearchSet(options)
        self._names: list[str] = []
        for each in lists:
            for pattern in patterns_of(each):
                if pattern not in each.off:
                    self._add(each, pattern)
        self._set.Compile()

    def __contains__(self, agent: bytes) -> bool:
        return bool(self._set.Match(agent))

    def hits(self, agent: bytes) -> list[str]:
        """Which patterns hit, as "list: pattern"."""
        return [self._names[index] for index in self._set.Match(agent) or ()]

    def _add(self, source: MachineList, pattern: str) -> None:
        try:
            self._set.Add(source.flags + pattern)
        except re2.error as error:
            raise ConfigurationError(f"{source.name}: RE2 cannot use the pattern {pattern!r}") from error
        self._names.append(f"{source.name}: {pattern}")


def patterns_of(source: MachineList) -> list[str]:
    """All patterns of a list, switched off or not.

    Raises:
        ConfigurationError: the package is missing, changed inside, or much shorter than it was.
    """
    try:
        found = source.read()
    except (ImportError, AttributeError, OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{source.name}: the list is not where it was in the package") from error
    patterns = [pattern for pattern in found if isinstance(pattern, str) and pattern]
    if len(patterns) < _AT_LEAST or len(patterns) != len(found):
        raise ConfigurationError(f"{source.name}: only {len(patterns)} of {len(found)} entries are patterns")
    return patterns


@lru_cache(maxsize=1)
def known_machines() -> KnownMachines:
    """The lists, read and compiled once per process."""
    return KnownMachines()
