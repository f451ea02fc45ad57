"""The strict YAML reader: what it reads, and that a hostile file cannot repeat keys, grow, recurse or construct."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lib.yaml_text import YamlFault, read_yaml


def test_plain_values_follow_yaml_1_2() -> None:
    text = 'a: no\nb: true\nc: 012\nd: 1.5\ne: ~\nf: "true"\ng: 2026-01-01\nh: 12:30\ni: [1, -2, x]\nj:\nk: 1_000\n'
    assert read_yaml(text) == {
        "a": "no",
        "b": True,
        "c": 12,
        "d": 1.5,
        "e": None,
        "f": "true",
        "g": "2026-01-01",
        "h": "12:30",
        "i": [1, -2, "x"],
        "j": None,
        "k": "1_000",
    }


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "empty"),
        ("a: 1\na: 2\n", 'line 2: the key "a" stands twice'),
        ("x:\n  - {a: 1, b: 2, a: 3}\n", '"a" stands twice'),
        ('a: 1\n"a": 2\n', "stands twice"),
        ("a: &x [1]\nb: *x\n", "anchors"),
        ("a: *x\n", "anchors"),
        ("a: !!python/object/apply:os.system [ls]\n", "tags"),
        ("a: !!binary aGk=\n", "tags"),
        ("a: !x 1\n", "tags"),
        ("? [a]\n: 1\n", "key must be text"),
        ("1: x\n", "key must be text"),
        ("true: x\n", "key must be text"),
        ("a: 1\n---\nb: 2\n", "more than one document"),
        ("a: [1\n", "line"),
        ("a: b: c\n", "line 1"),
        ("\ta: 1\n", "line 1"),
        ("a: \x07\n", "not valid YAML"),
        ("[" * 50 + "]" * 50, "levels deep"),
        ("[" * 200_000, "deep"),
        ("{a: " * 200_000, "deep"),
    ],
)
def test_a_file_that_is_ambiguous_or_hostile_is_refused(text: str, part: str) -> None:
    with pytest.raises(YamlFault) as caught:
        read_yaml(text)
    assert part in str(caught.value)


# Up to U+FFFF: JSON escapes what is above as surrogate pairs, and YAML has no such pairs.
_TEXT = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]))
# A key on one line is at most 1024 characters (YAML 1.2, 7.4.2), escapes of six included.
_KEY = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=40)
_TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEY, inner, max_size=4),
    max_leaves=12,
)


@given(_TREES)
def test_any_json_is_read_as_itself(tree: object) -> None:
    assert read_yaml(json.dumps(tree)) == tree
