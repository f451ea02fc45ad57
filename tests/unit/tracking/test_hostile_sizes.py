"""Content made to be slow: work grows with the size and no faster. Steps are counted, no clock decides.

What regular expressions do inside cannot be counted: there, 5 MB are read, which a quadratic pattern would not finish
within the time limit of a test by a factor of thousands.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from app.errors import InvalidRequest
from app.tracking.findings import MAX_FINDINGS, Findings
from app.tracking.link_rules import LinkRules
from app.tracking.link_table import LinkTable
from app.tracking.rewrite_html import plan_html_or_keep
from app.tracking.rewrite_text import plan_text

RULES = LinkRules(
    own_hosts=frozenset({"t.example"}), vml=True, trap=True, values=frozenset({"a", "url"}), protocol_relative=True
)
MIB_5 = 5 * 1024 * 1024


def around(before: str, piece: str, after: str = "'>") -> Callable[[int], str]:
    return lambda size: before + piece * (size // len(piece)) + after


def only(piece: str) -> Callable[[int], str]:
    return around("", piece, "")


HTML = {
    "tags in a tag": only("<a "),
    "tags without an end": only("<a"),
    "unclosed quotes": only("<a href=\"https://x.example/'"),
    "attributes": around("<a ", "b=c ", "href=x>"),
    "opt-outs in one tag": around("<a ", "data-track=off href=x ", ">"),
    "slashes": around("<a", "/", ">"),
    "comments": only("<!--"),
    "short comments": only("<!-->"),
    "nested conditional comments": only("<!--[if mso]><v:r href='https://x.example/'>"),
    "conditional comments": only("<!--[if mso]><v:r href='https://x.example/'><![endif]-->"),
    "entities": around("<a href='https://x.example/?", "&amp;"),
    "braces": only("{{"),
    "braces in a link": around("<a href='", "{{"),
    "escaped braces in a link": around("<a href='", "%7B%7B a"),
    "places in a link": around("<a href='https://x.example/", "{{a}}"),
    "template marks": around("<a href='https://x.example/", "*|{%%%a${<"),
    "users": around("<a href='https://", "@"),
    "labels of a host": around("<a href='https://", "ü."),
    "ports": around("<a href='https://x.example", ":1"),
    "findings": only("<a href=/x>"),
    "scripts": only("<script><!--"),
    "raw text": only("<title>"),
    "pixels": only("<img src='https://t.example/o/x'>"),
    "almost pixels": around("<img src='https://t.example", ":/o/"),
    "traps": only("<a href='https://t.example/c/x' aria-hidden=true tabindex=-1>"),
    "almost traps": around("<a aria-hidden=true tabindex=-1 href='https://t.example", ":/c/"),
    "almost unsubscribe": only("%7B%7Bunsubscribe_url {{unsubscribe_url"),
}
TEXT = {
    "brackets": only("("),
    "brackets in a url": only("https://x.example/((("),
    "closers": around("(https://x.example/", ")", ""),
    "dots": around("https://x.example/", ".", ""),
    "schemes": only("https://"),
    "colons": only("a:"),
    "mailto": only("mailto:"),
    "braces": only("{{"),
    "blanks in braces": only("{{ " + " " * 5000),
    "a long name": around("https://x.example/{{", "a", ""),
    "open places": only("https://x.example/{{ "),
    "places": only("{{ a }}"),
    "www": only("www.x "),
}


def html_plan(html: str) -> Findings:
    findings = Findings(everything=True)
    plan_html_or_keep(html, LinkTable(), RULES, findings, header_pixel=True, footer_pixel=True)
    return findings


def text_plan(text: str) -> Findings:
    findings = Findings(everything=True)
    plan_text(text, LinkTable(), RULES, findings)
    return findings


CASES = [pytest.param(html_plan, make, id=f"html: {name}") for name, make in HTML.items()]
CASES += [pytest.param(text_plan, make, id=f"text: {name}") for name, make in TEXT.items()]


def steps(plan: Callable[[str], Findings], content: str) -> int:
    """Calls of functions, ours and the interpreter's."""
    count = 0

    def called(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        plan(content)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(("plan", "make"), CASES)
def test_four_times_the_content_takes_four_times_the_steps(
    plan: Callable[[str], Findings], make: Callable[[int], str]
) -> None:
    plan(make(100))  # fills caches of the interpreter
    small, large = steps(plan, make(20_000)), steps(plan, make(80_000))
    assert large <= 4 * small + 500


@pytest.mark.slow
@pytest.mark.parametrize(("plan", "make"), CASES)
def test_five_megabytes_are_read(plan: Callable[[str], Findings], make: Callable[[int], str]) -> None:
    findings = plan(make(MIB_5))
    assert len(findings.links) <= MAX_FINDINGS
    assert len(findings.notes) <= 1


@pytest.mark.slow
def test_five_megabytes_of_links_are_refused_as_soon_as_there_are_too_many() -> None:
    html = "<a href='https://x.example/'>x</a>" * (MIB_5 // 34)
    assert steps(html_plan_of_too_many, html) < 100_000


def html_plan_of_too_many(html: str) -> Findings:
    with pytest.raises(InvalidRequest, match="more than 500 links"):
        html_plan(html)
    return Findings()
