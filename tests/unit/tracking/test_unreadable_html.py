"""HTML that does not parse, and HTML that only looks as if it did not."""

from __future__ import annotations

import pytest

from app.errors import InvalidRequest
from app.tracking.html_scan import UnparsableHtml
from tests.unit.tracking.rewriting import rewritten


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ('<p>x</p>\n <a href="https://x.example>x</a>', r"value never ends \(line 2, column 5\)"),
        ("<a href='https://x.example", "value never ends"),
        ("<a href=", "value never ends"),
        ("<a href", "tag never ends"),
        ("x<a", "tag never ends"),
        ("<a href=x", "tag never ends"),
        ("<p>x</p", "tag never ends"),
        ("<p " + "a=1 " * 100 + "b='", "value never ends"),
        ("<p>x<!-- </body>", "comment never ends"),
        ("<!--[if mso]><a>", "comment never ends"),
        ("<![CDATA[ <a>", "CDATA section never ends"),
        ("<!doctype html", "declaration never ends"),
        ("</ x", "declaration never ends"),
        ("<?php echo 1", "declaration never ends"),
        ("<script>x", "script element never ends"),
        ("<style>x</styles>", "style element never ends"),
        ("<title/>x", "title element never ends"),
        ("<script><!-- <script> </script>", "script element never ends"),
        ("<plaintext>x", "plaintext"),
        ('<a href="https://x.example>Go</a><p class="x">y</p>', "quote is missing"),
        ('<a href="https://x.example>Go</a> <a href="https://y.example">y</a>', "quote is missing"),
        ('<a href="https://x.example/>Click "here" now</a>', "quote is missing"),
        ('<a href="/local>Go</a><p class="x">y</p>', "quote is missing"),
    ],
)
def test_document_without_a_sensible_reading_is_refused(html: str, reason: str) -> None:
    with pytest.raises(UnparsableHtml, match=reason) as error:
        rewritten(html)
    assert (error.value.status, error.value.code) == (422, "unparsable_html")
    assert "x.example" not in error.value.detail


@pytest.mark.parametrize(
    "html",
    [
        "<p>x",
        "a < b",
        "x <",
        "x </",
        "</p></p>",
        "<svg><title/><style/>x</svg>",
        "<svg/><p>",
        "<script></script x='>'>",
        "<a href=\"javascript:w('<b>')\">x</a>",
    ],
)
def test_untidy_document_is_fine(html: str) -> None:
    found = rewritten(html)
    assert (found.output, found.links) == (html, ())


def test_raw_angle_bracket_in_a_well_quoted_url_is_part_of_it() -> None:
    assert rewritten('<a href="https://x.example/?a>b" id=x>').destinations == ("https://x.example/?a>b",)


def test_lone_surrogate_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="character 4"):
        rewritten("<p>\ud800")
    assert rewritten('<a href="https://x.example/&#xD800;">').destinations == ("https://x.example/\ufffd",)
