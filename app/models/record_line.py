"""A record as a line: JSON with one-letter keys (`app.models.record` says which), written here and read here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from app.errors import PermanentError
from app.lib import ids
from app.models.record import RECORD_VERSION, HitKind, Record

MAX_LINE_BYTES = 16_384
"""Longer lines are never written; a longer one that is read is set aside."""
_USER_AGENT_CHARS = 1024
_QUERY_CHARS = 1024
_SHORT_CHARS = 256
_KINDS = {kind.value: kind for kind in HitKind}


class BrokenRecord(PermanentError):
    """A line that is not a record; the text says why, without quoting it."""


def encode(record: Record) -> bytes:
    """The line of a record, with its line feed. Text is cut to sane lengths first."""
    line: dict[str, Any] = {
        "v": RECORD_VERSION,
        "i": ids.to_text(record.id),
        "k": record.kind,
        "t": record.at_ms,
        "h": record.host[:_SHORT_CHARS],
        "c": record.code[:_SHORT_CHARS],
        "m": record.method[:16],
        "a": record.client[:64],
        "u": record.user_agent[:_USER_AGENT_CHARS],
    }
    if record.query:
        line["q"] = record.query[:_QUERY_CHARS]
    if record.headers:
        line["x"] = {name: value[:_SHORT_CHARS] for name, value in record.headers.items()}
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        # Headers arrive as Latin-1, so this needs a caller of ours that made a lone surrogate.
        cleaned = {key: _clean(value) for key, value in line.items()}
        return orjson.dumps(cleaned, option=orjson.OPT_APPEND_NEWLINE)


def decode(line: bytes) -> Record:
    """The record of a line.

    Raises:
        BrokenRecord: not JSON, a version from the future, or a field that is missing or of another type.
    """
    if len(line) > MAX_LINE_BYTES:
        raise BrokenRecord("too long")
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        try:
            # nginx's escape=json lets bytes through that are not UTF-8.
            fields = orjson.loads(line.decode("utf-8", "replace"))
        except orjson.JSONDecodeError:
            raise BrokenRecord("not JSON") from None
    try:
        if fields["v"] != RECORD_VERSION:
            raise BrokenRecord("unknown version")
        at_ms = fields["t"]
        if type(at_ms) is not int or not 0 < at_ms < 1 << 48:
            raise BrokenRecord("bad time")
        record = Record(
            ids.from_text(fields["i"]),
            _KINDS[fields["k"]],
            at_ms,
            fields["h"],
            fields["c"],
            fields["m"],
            fields.get("a", ""),
            fields.get("u", ""),
            fields.get("q", ""),
            fields.get("x") or {},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BrokenRecord("bad field") from None
    if not all(type(value) is str for value in record[3:9]) or not isinstance(record.headers, Mapping):
        raise BrokenRecord("bad field")
    return record


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return value
