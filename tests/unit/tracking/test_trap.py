"""The hidden link: where it stands, when a document gets one, and that there is never a second one."""

from __future__ import annotations

import re

import pytest

from app.models.block import Link
from app.tracking.findings import Findings
from app.tracking.link_rules import LinkRules
from app.tracking.link_table import MAX_LINKS, LinkTable
from app.tracking.rewrite_html import plan_html
from app.tracking.trap import TRAP_SLOT
from tests.unit.tracking.rewriting import rewritten

TRAP = re.compile(r'<a href="https://t\.example/c/trap"[^<]*></a>')
LINK = '<a href="https://x.example/a">a</a>'


def traps(html: str, **options: object) -> int:
    return len(TRAP.findall(rewritten(html, trap=True, **options).output))


@pytest.mark.parametrize(
    "marked",  # ^ the header pixel, § the trap, $ the footer pixel; L a link
    [
        "^<p>L§$",
        "<body>^L§$</body>",
        "<html><head></head><body class=x>^<p>L</p>§$</BODY>\n</html>\n",
        "<body>^L</body>y<body>§$</body>",
        "<body>^L§$</body><!-- </body> -->",
        "<body>^L§$</body>L",
        "^<table><tr><td>L</td></tr></table>§$",
        "\ufeff<!doctype html>^L§$",
        "^<a name=x></a>L§$",
        "<body>^L§$</body><a name=end>",
    ],
)
def test_it_stands_where_the_body_ends_before_the_footers_pixel(marked: str) -> None:
    source = re.sub(r"[\^§$]", "", marked).replace("L", LINK)
    template = plan_html(source, LinkTable(), LinkRules(trap=True), Findings(), header_pixel=True, footer_pixel=True)
    output = template.render({0: "^", 1: "$", 4: "https://x.example/a", 5: "https://x.example/a", TRAP_SLOT: "§"})
    assert (
        re.sub(r'<(?:img src|a href)="([\^§$])"[^>]*>(?:(?<=all">)</a>)?', r"\1", output).replace(LINK, "L") == marked
    )


def test_nothing_of_it_is_there_for_people() -> None:
    (markup,) = TRAP.findall(rewritten(LINK, trap=True).output)
    assert markup == (
        '<a href="https://t.example/c/trap" aria-hidden="true" tabindex="-1"'
        ' style="display:none;display:none!important;mso-hide:all"></a>'
    )


@pytest.mark.parametrize(
    "html",
    [
        "",
        "<p>x</p>",
        '<a href="mailto:a@x.example">x</a>',
        '<a data-track="off" href="https://x.example/">x</a>',
        '<a href="https://t.example/c/abc">x</a>',
        '<a href="{{unsubscribe_url}}">x</a>',
        '<a href="https://x.example/{{ id }}">x</a>',  # personal
        "<!-- " + LINK + " -->",
        "<html amp4email><body>" + LINK + "</body></html>",
        '<body><a href="https://x.example/">never closed</body>',
        '<a href="https://x.example/">never closed',
        LINK + "<a>never closed",
    ],
)
def test_a_document_without_a_place_or_a_target_gets_none(html: str) -> None:
    assert traps(html, values=frozenset({"id"})) == 0


def test_it_is_there_only_when_the_rules_say_so() -> None:
    assert not TRAP.search(rewritten(LINK).output)
    assert traps(LINK, track_clicks=False) == 0
    assert traps(LINK) == 1


def test_html_that_is_kept_as_it_is_gets_none() -> None:
    assert traps(LINK + "<!-- never ends", keep=True) == 0


@pytest.mark.parametrize("more", ["", '<a href="https://x.example/new">new</a>'])
@pytest.mark.parametrize("pixels", [True, False])
def test_what_was_rewritten_gets_no_second_one(more: str, pixels: bool) -> None:
    once = rewritten(f"<body>{LINK}</body>", trap=True, footer_pixel=pixels).output
    twice = rewritten(once.replace("<body>", f"<body>{more}"), trap=True, footer_pixel=True)
    assert len(TRAP.findall(twice.output)) == 1
    assert len(twice.links) == bool(more)


@pytest.mark.parametrize(
    ("anchor", "count"),
    [
        ("<A HREF='https://T.example:8443/c/abc' tabindex=-1 aria-hidden=true></A>", 0),
        ('<a href="https://t.example/c/abc" tabindex="-1">x</a>', 1),
        ('<a href="https://t.example/c/abc" aria-hidden="true">x</a>', 1),
        ('<a href="https://t.example/u/abc" aria-hidden="true" tabindex="-1">x</a>', 1),
        ('<a href="https://other.example/c/abc" aria-hidden="true" tabindex="-1">x</a>', 1),
        ('<a href="x" href="https://t.example/c/abc" aria-hidden="true" tabindex="-1">x</a>', 1),
        ('<!-- <a href="https://t.example/c/abc" aria-hidden="true" tabindex="-1"></a> -->', 1),
    ],
)
def test_only_a_hidden_link_of_ours_is_taken_for_one(anchor: str, count: int) -> None:
    output = rewritten(f"<body>{LINK}{anchor}</body>", trap=True).output
    assert len(TRAP.findall(output)) == count


def test_text_never_gets_one() -> None:
    assert rewritten(None, "https://x.example/a", trap=True).output == "https://t.example/4"


def test_its_link_is_the_last_and_leads_where_the_first_does_that_is_not_personal() -> None:
    table = LinkTable()
    table.add("https://x.example/{{id}}", "one", personal=True)
    table.add("https://x.example/2", "two")
    table.add("https://x.example/3", "three")
    table.add_trap()
    assert table.links[3:] == (Link("https://x.example/2", "trap", trap=True),)


def test_no_author_loses_a_link_to_it() -> None:
    table = LinkTable()
    for number in range(MAX_LINKS):
        table.add(f"https://x.example/{number}", "")
    table.add_trap()
    assert len(table.links) == MAX_LINKS + 1
