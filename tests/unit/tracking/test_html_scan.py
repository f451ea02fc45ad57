"""The tokenizer against the HTML standard's rules, and against documents made to be slow."""

from __future__ import annotations

from html.entities import html5

import pytest

from app.tracking.html_scan import Attribute, UnparsableHtml, attributes, decode_attribute, tokens


def names(html: str) -> list[str]:
    return [token.name for token in tokens(html)]


def test_tokens_are_tags_comments_and_raw_text() -> None:
    html = "<!DOCTYPE html><P>x<!-- <i> --><br/></p ><style><b></style><![CDATA[<i>]]><?x?>"
    assert names(html) == ["!doctype", "p", "!", "br", "/p", "style", "!raw", "/style", "!", "!"]
    assert html.startswith("<P>", next(token.start for token in tokens(html) if token.name == "p"))


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("<a>", []),
        ("<a b>", [("b", "")]),
        ("<a B=c d='e' f=\"g\">", [("b", "c"), ("d", "e"), ("f", "g")]),
        ("<a b = c/d>", [("b", "c/d")]),
        ("<a b=c/>", [("b", "c/")]),
        ("<a b/=c>", [("b", ""), ("=c", "")]),
        ("<a =b=c>", [("=b", "c")]),
        ("<a b==c>", [("b", "=c")]),
        ("<a b=>", [("b", "")]),
        ("<a b='c'd=e>", [("b", "c"), ("d", "e")]),
        ("<a 'b'=c \"d>", [("'b'", "c"), ('"d', "")]),
        ("<a b=c'd\"e<f>", [("b", "c'd\"e<f")]),
        ("<a/b//c= d>", [("b", ""), ("c", "d")]),
        ("<a b='>'>", [("b", ">")]),
        ("<a b=1 b=2>", [("b", "1"), ("b", "2")]),
    ],
)
def test_attributes_are_split_as_browsers_do(tag: str, expected: list[tuple[str, str]]) -> None:
    (token,) = tokens(tag)
    found = list(attributes(tag, token))
    assert (token.start, token.end) == (0, len(tag))
    assert [(attribute.name, attribute.value) for attribute in found] == expected
    assert all(tag[attribute.value_start : attribute.value_end] == attribute.value for attribute in found)


def test_attribute_positions_cover_name_and_quotes() -> None:
    html = "<p><a \n href = 'x'>"
    tag = list(tokens(html))[1]
    assert list(attributes(html, tag)) == [Attribute("href", 5, 8, 18, "x", 16, 17, quoted=True)]


@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        ("&amp;amp;", "&amp;"),
        ("&AMP &LT;", "& <"),
        ("&copy", "©"),
        ("&copy=", "&copy="),
        ("&copy1", "&copy1"),
        ("&copy;=", "©="),
        ("&notit;", "&notit;"),
        ("&notin;", "∉"),
        ("&bogus; & && &;", "&bogus; & && &;"),
        ("&#38&#38;&#x26&#X26;", "&&&&"),
        ("&#38=", "&="),
        ("&#; &#x; &#xg;", "&#; &#x; &#xg;"),
        ("&#0; &#xD800; &#x110000; &#99999999999999999999;", "\ufffd \ufffd \ufffd \ufffd"),
        ("&#000000000000038;", "&"),
        ("&#150;&#x80;&#x81;", "–€\x81"),
        ("&#1;&#13;", "\x01\r"),
        ("&CounterClockwiseContourIntegral;", "∳"),
        ("&NotEqualTilde;", "≂̸"),
    ],
)
def test_character_references_follow_the_attribute_rule(raw: str, decoded: str) -> None:
    assert decode_attribute(raw) == decoded


def test_every_named_reference_is_known() -> None:
    for name, text in html5.items():
        assert decode_attribute(f"&{name}") == text


HOSTILE = {
    "tags in a tag": "<a " * 300_000,
    "tags without an end": "<a" * 300_000,
    "stray brackets": "<" * 600_000,
    "unclosed comments": "<!--" * 150_000,
    "short comments": "<!-->" * 100_000,
    "unclosed quotes": '<a href="' * 70_000,
    "one quote": "<a b='" + "x" * 600_000,
    "blanks in a tag": "<a " + " " * 600_000,
    "blanks before a value": "<a b=" + " " * 600_000,
    "equals signs": "<a " + "=" * 600_000,
    "many attributes": "<a " + "b=c " * 150_000,
    "slashes": "<a" + "/" * 600_000,
    "scripts in a script": "<script>" + "<!--<script></script>" * 30_000,
    "almost closed": "<textarea>" + "</textarea" * 60_000,
    "cdata": "<![CDATA[" * 70_000,
}


@pytest.mark.parametrize("html", HOSTILE.values(), ids=HOSTILE)
def test_hostile_document_is_read_in_one_pass(html: str) -> None:
    """A quadratic reading of these would take minutes to hours; tokens never overlap or go back."""
    at = 0
    try:
        for token in tokens(html):
            assert token.start >= at
            at = token.end
            assert at > token.start or token.name == "!raw"
    except UnparsableHtml:
        pass


@pytest.mark.parametrize(
    "value", ["&" * 600_000, "&#" + "9" * 600_000, "&#x" + "0" * 600_000, "&a" * 300_000, "&" + "a" * 600_000]
)
def test_hostile_references_are_read_in_one_pass(value: str) -> None:
    assert len(decode_attribute(value)) <= len(value)
