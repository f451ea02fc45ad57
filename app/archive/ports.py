"""What an archive needs of others, in its own words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from app.models.archive import ArchivedHour, Manifest, Progress
from app.models.event import Event, EventKind

Show = Callable[[Sequence[Event]], Sequence[Mapping[str, Any]]]
"""The public JSON of events, in the order given: what `GET /v1/events` answers."""


class Bucket(Protocol):
    """`app.archive.bucket`; raises `BucketUnavailable` and `BucketRefused`."""

    def put(self, key: str, content: bytes, content_type: str) -> None: ...
    def get(self, key: str) -> bytes | None: ...
    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]: ...
    def delete(self, key: str) -> None: ...


class Restored(Protocol):
    @property
    def inserted(self) -> int: ...
    @property
    def present(self) -> int: ...


class Events(Protocol):
    """MongoDB's; each raises `StoreUnavailable`."""

    def first_recorded_ms(self, brand_id: str) -> int | None: ...
    def page(self, brand_id: str, *, after: tuple[int, bytes] | None, before_ms: int, limit: int) -> list[Event]:
        """Events in the order they were recorded, behind a position."""

    def counts(self, brand_id: str, since_ms: int, until_ms: int) -> Counter[EventKind]: ...
    def present(self, event_ids: Collection[bytes]) -> set[bytes]: ...
    def restore(self, events: Sequence[Event], erased: Collection[int]) -> Restored: ...


class State(Protocol):
    """What is archived, and who works on what; each raises `StoreUnavailable`."""

    def claim(self, brand_id: str, hour: int, now: datetime) -> str | None: ...
    def progress(self, brand_id: str, hour: int) -> Progress: ...
    def save(self, brand_id: str, hour: int, token: str, progress: Progress, now: datetime) -> bool: ...
    def done(self, manifest: Manifest, sha256: str, token: str, now: datetime) -> bool: ...
    def release(self, brand_id: str, hour: int, token: str) -> None: ...
    def of_hour(self, brand_id: str, hour: int) -> ArchivedHour | None: ...
    def archived(self, brand_id: str, since: int, until: int) -> Iterator[ArchivedHour]: ...


class Erasures(Protocol):
    def among(self, messages: Collection[int]) -> set[int]:
        """Numbers of messages whose people were erased."""
