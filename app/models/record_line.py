"""A record as a line: JSON with one-letter keys (`app.models.record` says which), written here and read here."""

from __future__ import annotations

import re

import msgspec

from app.errors import PermanentError
from app.models.record import RECORD_VERSION, Record

MAX_LINE_BYTES = 16_384
"""Longer lines are never written; a longer one that is read is set aside."""
_USER_AGENT_CHARS = 1024
_QUERY_CHARS = 2560
"""A sealed `p=` of up to 1,402 characters, and as much again in the clear."""
_SHORT_CHARS = 256
_FACTS = "shlmep"
_FACTS_CHARS = 8
_LATEST_MS = 1 << 48

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode
_is_id = re.compile(r"[0-9a-f]{32}").fullmatch


class BrokenRecord(PermanentError):
    """A line that is not a record; the text says why, without quoting it."""


def encode(record: Record) -> bytes:
    """The line of a record, with its line feed. Text is cut to sane lengths first."""
    if len(record.user_agent) > _SHORT_CHARS or len(record.host) > _SHORT_CHARS or record.query or record.headers:
        record = _cut(record)
    try:
        return _encode(record) + b"\n"
    except UnicodeEncodeError:
        # Headers arrive as Latin-1, so this needs a caller of ours that made a lone surrogate.
        text = {name: _clean(getattr(record, name)) for name in ("host", "code", "method", "user_agent", "query")}
        headers = {name: _clean(value) for name, value in record.headers.items()}
        return _encode(msgspec.structs.replace(record, **text, headers=headers)) + b"\n"


def decode(line: bytes) -> Record:
    """The record of a line.

    Raises:
        BrokenRecord: not JSON, a version from the future, or a field that is missing or of another type.
    """
    if len(line) > MAX_LINE_BYTES:
        raise BrokenRecord("too long")
    try:
        record = _decode(line)
    except UnicodeDecodeError:
        # nginx's escape=json lets bytes through that are not UTF-8.
        return decode(line.decode("utf-8", "replace").encode())
    except msgspec.ValidationError:
        raise BrokenRecord("bad field") from None
    except msgspec.DecodeError:
        raise BrokenRecord("not JSON") from None
    if record.version != RECORD_VERSION:
        raise BrokenRecord("unknown version")
    if not _is_id(record.hex_id) or not 0 < record.at_ms < _LATEST_MS:
        raise BrokenRecord("bad field")
    if record.facts.strip(_FACTS) or len(record.facts) > _FACTS_CHARS:
        record = msgspec.structs.replace(record, facts=_known(record.facts))
    return record


def _known(facts: str) -> str:
    """A newer front may say more than is understood here."""
    return "".join(letter for letter in facts if letter in _FACTS)[:_FACTS_CHARS]


def _cut(record: Record) -> Record:
    return msgspec.structs.replace(
        record,
        host=record.host[:_SHORT_CHARS],
        user_agent=record.user_agent[:_USER_AGENT_CHARS],
        query=record.query[:_QUERY_CHARS],
        headers={name: value[:_SHORT_CHARS] for name, value in record.headers.items()},
    )


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
