"""Personalised destinations: filled, they lead where the template leads; without values, to what is left of it."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lib.http_url import read_destination
from app.tracking.personal import PLACE, fill, is_whole, without_values


def test_values_are_percent_encoded_as_encode_uri_component_does() -> None:
    values = {"a": 'A z/0?&=#%+;,:@$"<>\\^`{|}[]', "b": "-_.!~*'()", "c": "ü😀\r\n\t\x00", "d": ""}
    assert fill("https://x.example/{{a}}", values) == (
        "https://x.example/A%20z%2F0%3F%26%3D%23%25%2B%3B%2C%3A%40%24%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D"
    )
    assert fill("https://x.example/?{{ b }}#{{b}}", values) == "https://x.example/?-_.!~*'()#-_.!~*'()"
    assert fill("https://x.example/{{c}}", values) == "https://x.example/%C3%BC%F0%9F%98%80%0D%0A%09%00"
    assert fill("https://x.example/a{{d}}/{{d}}", values) == "https://x.example/a/"


def test_a_value_with_a_placeholder_is_not_filled_again() -> None:
    assert fill("https://x.example/{{a}}", {"a": "{{b}}", "b": "no"}) == "https://x.example/%7B%7Bb%7D%7D"


def test_a_value_may_be_the_whole_url() -> None:
    assert fill("{{ link }}", {"link": "https://x.example/?a=1&b#c"}) == "https://x.example/?a=1&b#c"
    assert is_whole("{{ link }}")
    assert not is_whole("https://x.example/{{ link }}")


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(LookupError):
        fill("https://x.example/{{a}}", {"b": "x"})
    with pytest.raises(LookupError):
        fill("{{a}}", {})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/{{a}}", "."),
        ("/{{a}}", ".."),
        ("/{{a}}/x", ".."),
        ("/x/.{{a}}?b", "."),
        ("/x/{{a}}{{a}}/y", "."),
        ("/x/%2e{{a}}/y", "."),
        ("/x/%2{{a}}/y", "e"),
        ("/x/.{{a}}/y", ""),
    ],
)
def test_a_value_never_makes_a_dot_segment(path: str, value: str) -> None:
    with pytest.raises(ValueError, match="segment"):
        fill("https://x.example" + path, {"a": value})


def test_dots_elsewhere_are_fine() -> None:
    values = {"a": ".."}
    assert fill("https://x.example/v{{a}}/?b={{a}}#{{a}}", values) == "https://x.example/v../?b=..#.."
    assert fill("https://x.example/../{{a}}x", values) == "https://x.example/../..x"


def test_half_of_a_surrogate_pair_is_an_error() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        fill("https://x.example/{{a}}", {"a": "\ud800"})


@pytest.mark.parametrize(
    ("template", "left"),
    [
        ("https://x.example/{{a}}", "https://x.example/"),
        ("https://x.example/u/{{a}}/edit", "https://x.example/u/"),
        ("https://x.example/u/v{{a}}.html?b=1#c", "https://x.example/u/?b=1"),
        ("https://x.example/u?b=1&c={{a}}&d=%26;e", "https://x.example/u?b=1&d=%26;e"),
        ("https://x.example/u?c={{a}}", "https://x.example/u"),
        ("https://x.example/u?c={{a}}#f", "https://x.example/u#f"),
        ("https://x.example/u?{{a}}=1&b", "https://x.example/u?b"),
        ("https://x.example/u?b=1&&#{{a}}", "https://x.example/u?b=1&&"),
        ("https://x.example/u?b=1#f{{a}}", "https://x.example/u?b=1"),
        ("https://x.example?{{a}}", "https://x.example"),
        ("https://x.example:8080/a;v={{a}}/b", "https://x.example:8080/"),
        ("{{a}}", None),
        ("https://{{a}}/b", None),
    ],
)
def test_without_values_the_link_leads_to_what_is_left(template: str, left: str | None) -> None:
    assert without_values(template) == left


PIECES = st.lists(
    st.sampled_from(["{{a}}", "{{ b }}", "/", "?", "#", "&", "=", "x", "%2F", ";", "ü", ".."]), max_size=12
).map("".join)
VALUES = st.fixed_dictionaries({"a": st.text(max_size=8), "b": st.text(max_size=8)})


@given(PIECES, VALUES)
def test_a_value_changes_neither_host_nor_depth_nor_the_fields_of_the_query(tail: str, values: dict[str, str]) -> None:
    template = "https://x.example/" + tail
    plain = re.sub(r"\{\{.*?\}\}", "x", template)
    try:
        filled = fill(template, values)
    except ValueError:
        return
    assert read_destination(filled).host == "x.example"
    shape, wanted = urlsplit(filled), urlsplit(plain)
    assert shape.netloc == wanted.netloc
    assert shape.path.count("/") == wanted.path.count("/")
    assert shape.query.count("&") == wanted.query.count("&")
    assert (shape.query + "#" + shape.fragment).count("=") == (wanted.query + "#" + wanted.fragment).count("=")
    dots = [part for part in wanted.path.split("/") if part in (".", "..")]
    assert [part for part in shape.path.split("/") if unquote(part) in (".", "..")] == dots


@given(st.text(max_size=30))
def test_what_was_filled_in_is_what_the_page_reads(value: str) -> None:
    try:
        filled = fill("https://x.example/?v={{a}}&w=1", {"a": value})
    except ValueError:
        assert any("\ud800" <= char <= "\udfff" for char in value)
        return
    assert unquote(filled.removeprefix("https://x.example/?v=").removesuffix("&w=1")) == value


@given(PIECES)
def test_what_is_left_has_no_place_any_more_and_the_same_host(tail: str) -> None:
    left = without_values("https://x.example/" + tail)
    assert left is not None
    assert not PLACE.search(left)
    assert read_destination(left).host == "x.example"
