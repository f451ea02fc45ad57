"""A journal record: one hit as the front saw it, before anything is known about it.

On disk it is one JSON object per line with one-letter keys (the journal holds millions of them):

    v version   i id (32 hex digits)   k kind   t milliseconds since 1970   h host   c code
    m method    a client address       u user agent   q allow-listed query   x headers for classification
    n number, when whoever wrote the line has decoded the code already   s sealed token, instead of c and n
    f facts: a letter for each thing that the headers say (`app.ingest.signals`)
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

RECORD_VERSION = 1


class HitKind(StrEnum):
    """What was asked for; one letter, as in the path."""

    OPEN = "o"
    CLICK = "c"
    UNSUBSCRIBE = "u"


class Record(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    gc=False,
    rename={
        "version": "v",
        "hex_id": "i",
        "kind": "k",
        "at_ms": "t",
        "host": "h",
        "code": "c",
        "method": "m",
        "client": "a",
        "user_agent": "u",
        "query": "q",
        "headers": "x",
        "number": "n",
        "token": "s",
        "facts": "f",
    },
):
    """A msgspec Struct, because one is made, written, read and type-checked per hit: a microsecond instead of ten."""

    version: int
    hex_id: str
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
    headers: dict[str, str] = {}
    """Lower-case short names: `purpose` (words of a prefetch header), `form` (how an unsubscribe was posted),
    `blocked` (the destination was refused), `gone` (a personalised link had no values any more)."""

    number: int | None = None
    """What the code says; ingest decodes the code itself when this is missing."""
    token: str = ""
    """A sealed token (`app.tracking.tokens`); then `code` is empty. Ingest opens it again: the line shows nothing."""
    facts: str = ""
    """Letters: `s` came over https or `h` over http, `l` has Accept-Language, `m` has Sec-Fetch metadata, `e` has
    `Sec-Fetch-Dest: empty`, `p` asks for privacy (DNT or Sec-GPC). Empty: nobody looked."""

    @property
    def id(self) -> bytes:
        return bytes.fromhex(self.hex_id)
