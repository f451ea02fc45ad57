"""What ingest needs of its neighbours, in ingest's words. `app.services` picks who does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from app.brands import Brand
from app.models.block import Block
from app.models.count import CountKey
from app.models.event import Event, EventKind, Place
from app.tracking.tokens import TokenContent

EndpointRef = tuple[str, str]
"""(brand id, endpoint id)"""


class Events(Protocol):
    def insert(self, events: Sequence[Event], batch_id: str) -> list[Event]: ...
    def confirm_firsts(self, events: Sequence[Event], places: set[Place]) -> tuple[list[Event], set[Place]]: ...
    def find_first(self, message: int, kind: EventKind) -> Event | None: ...


class Unsubscribes(Protocol):
    def apply(self, brand: Brand, block: Block, message: int, at_ms: int) -> None: ...
    def apply_token(self, brand: Brand, content: TokenContent, at_ms: int) -> None: ...


class Outbox(Protocol):
    """Writes one delivery per event and endpoint that wants it; the same events again write nothing new."""

    def write(self, events: Sequence[Event], blocks: Mapping[int, Block]) -> set[EndpointRef]: ...


class Counts(Protocol):
    """Takes the marker of a stored batch, with what it counted; the second one for a batch changes nothing."""

    def mark(
        self, batch_id: str, counts: Mapping[CountKey, int], *, records: int, dropped: Mapping[str, int]
    ) -> None: ...


class DeadLetters(Protocol):
    def set_aside(self, batch_id: str, lines: Sequence[tuple[int, bytes, str]]) -> None: ...
