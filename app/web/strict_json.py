"""JSON from strangers: one object in UTF-8, bounded in size and depth, with nothing that two parsers read differently.

Refused are duplicate names, NaN and infinities, lone surrogates and NUL (RFC 8259 sections 4, 6, 8 leave these to
the reader; I-JSON, RFC 7493, forbids most of them). No message repeats anything of the body.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import orjson

from app.errors import InvalidRequest, TooLarge

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 32

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_ONLY_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_ONE_KIND = bytes.maketrans(b"{}", b"[]")


def parse_object(body: bytes) -> dict[str, Any]:
    """The object in `body`.

    Raises:
        InvalidRequest: (400) when it is not exactly one sound JSON object.
        TooLarge: above `MAX_BYTES`.
    """
    if len(body) > MAX_BYTES:
        raise TooLarge(f"The body is larger than {MAX_BYTES // 1024 // 1024} MiB.", code="body_too_large")
    try:
        # orjson first: it stops at bad UTF-8, NaN, infinities, lone surrogates and a depth of 1,024 without recursion.
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _bad("The body is not valid JSON in UTF-8.", "invalid_json") from error
    if _deeper_than(body, MAX_DEPTH):
        raise _bad(f"The JSON is nested deeper than {MAX_DEPTH} levels.", "json_too_deep")
    try:
        value = json.loads(body, object_pairs_hook=_unique, parse_constant=_refuse)
    except ValueError as error:
        raise _bad("The body is not valid JSON in UTF-8.", "invalid_json") from error
    if not isinstance(value, dict):
        raise _bad("The body must be a JSON object.", "json_not_an_object")
    if b"\\u0000" in body and _has_nul(value):
        raise _bad("A string contains a NUL character.", "invalid_json")
    return value


def _deeper_than(body: bytes, levels: int) -> bool:
    """Strip the innermost pair of brackets `levels` times; what is left is deeper. The body is valid JSON."""
    if body.count(b"[") + body.count(b"{") <= levels:
        return False
    brackets = _STRING.sub(b"", body).translate(_ONE_KIND, _ONLY_BRACKETS)
    for _ in range(levels):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _bad("An object has the same name twice.", "json_duplicate_name")
    return found


def _has_nul(value: object) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if "\0" in item:
                return True
        elif isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return False


def _refuse(_: str) -> NoReturn:
    raise ValueError("not a JSON number")


def _bad(detail: str, code: str) -> InvalidRequest:
    return InvalidRequest(detail, code=code)
