"""A journal record: one hit as the front saw it, before anything is known about it.

On disk it is one JSON object per line with one-letter keys (the journal holds millions of them):

    v version   i id (26 characters)   k kind   t milliseconds since 1970   h host   c code
    m method    a client address       u user agent   q allow-listed query   x headers for classification
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

RECORD_VERSION = 1


class HitKind(StrEnum):
    """What was asked for; one letter, as in the path."""

    OPEN = "o"
    CLICK = "c"
    UNSUBSCRIBE = "u"


class Record(NamedTuple):
    """A NamedTuple because one is made per hit: three times cheaper than a frozen dataclass."""

    id: bytes
    """16 bytes, time-ordered, made where the hit was answered: the event's id for ever."""
    kind: HitKind
    at_ms: int
    host: str
    code: str
    method: str
    client: str = ""
    """The client's address after the trusted proxies; empty when unknown."""
    user_agent: str = ""
    query: str = ""
    headers: Mapping[str, str] = MappingProxyType({})
    """Lower-case short names: `purpose` (any prefetch header's value), `form` (how an unsubscribe was posted)."""
