"""From a record to the signals kept of it: bits for what its headers say, where it came from, and what it hit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Protocol

from app.ingest.networks.ranges import parse_address
from app.ingest.sources import Sources
from app.models import signals
from app.models.record import Record

_FACTS = {
    "s": signals.HTTPS,
    "h": 0,
    "l": signals.ACCEPT_LANGUAGE,
    "m": signals.FETCH_METADATA,
    "e": 0,
    "p": signals.PRIVACY,
}
_FROM_REASONS = {
    "method_head": signals.NOT_GET,
    "prefetch": signals.PREFETCH,
    "destination_blocked": signals.BLOCKED,
    "values_gone": signals.GONE,
}


class Networks(Protocol):
    def look_up(self) -> Callable[[int, int], int]: ...


class SignalReader:
    """Reads the signals of hits. Stateless but for caches."""

    def __init__(self, networks: Networks, sources: Sources) -> None:
        self._networks = networks
        self._sources = sources

    def read(self, hits: Iterable[tuple[Record, int, bool]]) -> list[int]:
        """Bits of `app.models.signals` of each (record, its message's number, whether it hit the hidden link). For one
        batch: the networks are those of now."""
        networks, facts = self._networks.look_up(), _facts
        bits: list[int] = []
        clients: list[tuple[int, int, int]] = []
        whose: list[int] = []
        for record, message, trap in hits:
            found = facts(record.facts)
            if record.method != "GET":
                found |= signals.NOT_GET
            if record.headers:
                found |= _of_headers(record.headers)
            if trap:
                found |= signals.TRAP
            client = parse_address(record.client)
            if client is not None:
                family, number = client
                found |= networks(family, number)
                clients.append((family, number, message))
                whose.append(len(bits))
            bits.append(found)
        for place, sources in zip(whose, self._sources.of(clients), strict=True):
            bits[place] |= sources
        return bits


def is_prefetch(purpose: str) -> bool:
    """Whether the value of a Sec-Purpose, Purpose, X-Purpose or X-Moz header speaks of a fetch ahead of a person."""
    purpose = purpose.lower()
    return "prefetch" in purpose or "prerender" in purpose or "preview" in purpose


def from_reasons(reasons: tuple[str, ...]) -> int:
    """What the reasons of an event say that was stored before signals were."""
    found = 0
    for reason in reasons:
        found |= _FROM_REASONS.get(reason, 0)
    return found


@lru_cache(maxsize=256)
def _facts(letters: str) -> int:
    if not letters:
        return 0  # nobody looked
    found = signals.HEADERS_SEEN
    for letter in letters:
        found |= _FACTS.get(letter, 0)
    return found


def _of_headers(headers: dict[str, str]) -> int:
    found = 0
    if "purpose" in headers and is_prefetch(headers["purpose"]):
        found |= signals.PREFETCH
    if "blocked" in headers:
        found |= signals.BLOCKED
    if "gone" in headers:
        found |= signals.GONE
    return found
