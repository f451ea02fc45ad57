"""What `app.web.strict_json` takes and refuses."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import CallerError, TooLarge
from app.web.strict_json import MAX_BYTES, MAX_DEPTH, parse_object

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)


def nested(levels: int) -> bytes:
    """An object with `levels` levels in all."""
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"null", "json_not_an_object"),
        (b"[]", "json_not_an_object"),
        (b'"text"', "json_not_an_object"),
        (b"{} {}", "invalid_json"),
        (b"{'a': 1}", "invalid_json"),
        (b'{"a": NaN}', "invalid_json"),
        (b'{"a": Infinity}', "invalid_json"),
        (b'{"a": -Infinity}', "invalid_json"),
        (b'{"a": 1e999}', "invalid_json"),
        (b'{"a": ' + b"9" * 5000 + b"}", "invalid_json"),
        (b'{"a": "\\ud800"}', "invalid_json"),
        (b'{"\\udfff": 1}', "invalid_json"),
        (b'{"a": "\xff"}', "invalid_json"),
        (b'{"a": "\xed\xa0\x80"}', "invalid_json"),
        (b'{"a": "x\ny"}', "invalid_json"),
        (b'{"a": "\\u0000"}', "invalid_json"),
        (b'{"a": [{"x\\u0000": 1}]}', "invalid_json"),
        ("{}".encode("utf-16"), "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b'{"a": 1, "a": 1}', "json_duplicate_name"),
        (b'{"a": [{"b": 1, "\\u0062": 2}]}', "json_duplicate_name"),
        (nested(MAX_DEPTH + 1), "json_too_deep"),
        (b'{"a":' + b"[" * 900 + b"]" * 900 + b"}", "json_too_deep"),
        (b"[" * 1_000_000, "invalid_json"),
        (b'{"a":' * 1_000_000, "invalid_json"),
    ],
)
def test_unsound_json_is_refused_by_a_code(body: bytes, code: str) -> None:
    with pytest.raises(CallerError) as caught:
        parse_object(body)
    assert caught.value.code == code
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b' {"a": "\\\\u0000"} ', {"a": "\\u0000"}),
        ('{"naïve": "\U0001f600"}'.encode(), {"naïve": "\U0001f600"}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a": "[[[[{{{{ \\"}"}', {"a": '[[[[{{{{ "}'}),
    ],
)
def test_sound_json_is_read(body: bytes, value: dict[str, object]) -> None:
    assert parse_object(body) == value


def test_depth_is_counted_exactly_and_not_inside_strings() -> None:
    deepest = parse_object(nested(MAX_DEPTH))
    for _ in range(MAX_DEPTH - 1):
        deepest = deepest["a"]
    assert deepest == {}
    text = "[" * 100_000
    assert parse_object(b'{"a": "' + text.encode() + b'"}') == {"a": text}
    wide = b'{"a": [' + b"[[]]," * 10_000 + b"[]]}"
    assert len(parse_object(wide)["a"]) == 10_001


def test_a_body_above_the_limit_is_too_large() -> None:
    with pytest.raises(TooLarge):
        parse_object(b'{"a": "' + b"x" * MAX_BYTES + b'"}')


@pytest.mark.parametrize("unit", [b'\\"', b'","', b'",[],"', b"\\\\"])
def test_hostile_bodies_cost_linear_time(unit: bytes) -> None:
    body = b'{"a": ["' + unit * (2_000_000 // len(unit)) + b'"]}'
    started = time.process_time()
    parse_object(body)
    # It takes 0.3 s at most on a slow machine; what is quadratic in two million takes minutes.
    assert time.process_time() - started < 5


def test_a_body_that_only_looks_like_json_costs_no_more() -> None:
    started = time.process_time()
    with pytest.raises(CallerError):
        parse_object(b'{"a": "' + b'\\"' * 1_000_000)
    assert time.process_time() - started < 5


def test_no_message_repeats_the_body() -> None:
    for body in (b'{"secret-mark": NaN}', b'{"secret-mark": 1, "secret-mark": 2}', b'["secret-mark"]', b"secret-mark"):
        with pytest.raises(CallerError) as caught:
            parse_object(body)
        assert "secret-mark" not in caught.value.detail


@given(st.dictionaries(TEXT, VALUES, max_size=5))
def test_whatever_a_json_library_writes_is_read_back(value: dict[str, object]) -> None:
    assert parse_object(json.dumps(value).encode()) == value
    assert parse_object(json.dumps(value, ensure_ascii=False).encode()) == value
