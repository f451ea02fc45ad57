"""Open pixels: where they stand, that they take no room, and that there is never a second set of them."""

from __future__ import annotations

import re

import pytest

from app.tracking.findings import Findings
from app.tracking.link_reasons import Reason
from app.tracking.link_rules import LinkRules
from app.tracking.link_table import LinkTable
from app.tracking.rewrite_html import plan_html
from tests.unit.tracking.rewriting import rewritten


@pytest.mark.parametrize(
    "marked",  # ^ the header pixel, $ the footer pixel
    [
        "^<p>x$",
        "^x</p>$",
        "<body>^x$</body>",
        '<body\nclass=">">^x$</BODY\n></html>\n',
        "<!doctype html>^\n<p>x$",
        "<html><head><title>a</title></head>^x</html>$",
        "<head><noscript><style>a</style></noscript></head>^x$",
        "<style>a{}</style> <meta a>^ x<style></style>$",
        "^<!-- <body> --><p>x<!-- </body> -->$",
        "<body>^x$</body><!-- </body> -->",
        '<body>^x$</body><script>"</body>"</script>',
        "<body>^x</body>y<body>$</body>",
        "<head><title><body></title></head><body>^x$",
        "^<tbody>x</tbody>$",
        "\ufeff<!doctype html>^x$",
        "\ufeff^x$",
        "^$",
    ],
)
def test_pixels_stand_where_the_visible_body_begins_and_ends(marked: str) -> None:
    template = plan_html(
        re.sub(r"[\^$]", "", marked),
        LinkTable(),
        LinkRules(),
        Findings(),
        header_pixel=True,
        footer_pixel=True,
    )
    output = template.render({0: "^", 1: "$"})
    assert re.sub(r'<img src="([\^$])"[^>]*>', r"\1", output) == marked


def test_both_pixels_have_their_own_slot_and_nothing_else_changes() -> None:
    output = rewritten("<body>x</body>", header_pixel=True, footer_pixel=True).output
    assert output.count("<img src=") == 2
    assert output.startswith('<body><img src="https://t.example/o/0.gif" ')
    assert '>x<img src="https://t.example/o/1.gif" ' in output
    assert output.endswith("></body>")


def test_urls_are_escaped_where_they_are_spliced_in() -> None:
    template = plan_html(
        "<a href='https://x.example'>",
        LinkTable(),
        LinkRules(),
        Findings(),
        header_pixel=False,
        footer_pixel=True,
    )
    output = template.render({4: "https://t.example/?a='&b", 1: 'https://t.example/"><b>'})
    assert output.startswith("<a href='https://t.example/?a=&#x27;&amp;b'>")
    assert 'src="https://t.example/&quot;&gt;&lt;b&gt;"' in output


@pytest.mark.parametrize(
    "both", [{"header_pixel": True}, {"footer_pixel": True}, {"header_pixel": True, "footer_pixel": True}]
)
def test_what_was_rewritten_is_not_rewritten_again(both: dict[str, bool]) -> None:
    html = '<html><body><p>x</p><a href="https://x.example/">a</a> <a href={{unsubscribe_url}}>b</a></body></html>'
    once = rewritten(html, **both)
    twice = rewritten(once.output, header_pixel=True, footer_pixel=True)
    assert twice.output == once.output
    assert twice.links == ()
    assert {link.reason for link in twice.findings.links} == {Reason.OWN_HOST}


@pytest.mark.parametrize(
    ("image", "pixels"),
    [
        ('<img src="https://t.example/o/abc.gif">', 0),
        ("<IMG alt='x' SRC = 'HTTPS://T.Example:8080/o/abc'/>", 0),
        ("<img src=http://t.example./o/s/token>", 0),
        ('<img src="https://other.example/o/abc.gif">', 1),
        ('<img src="https://t.example/c/abc">', 1),
        ('<img src="https://t.example.other.example/o/abc">', 1),
        ('<img data-src="https://t.example/o/abc.gif">', 1),
        ('<img src="x" src="https://t.example/o/abc.gif">', 1),
        ('<!-- <img src="https://t.example/o/abc.gif"> -->', 1),
        ('<a href="https://t.example/o/abc.gif">x</a>', 1),
    ],
)
def test_a_pixel_that_is_there_is_the_only_one(image: str, pixels: int) -> None:
    output = rewritten(f"<body>{image}</body>", footer_pixel=True).output
    assert output.count('<img src="https://t.example/o/1.gif" width="1"') == pixels


def test_the_pixel_takes_no_room() -> None:
    output = rewritten("x", footer_pixel=True).output
    style = re.search(r'style="([^"]*)"', output)
    assert style is not None
    declarations = dict(part.split(":") for part in style[1].split(";"))
    assert declarations["position"] == "absolute"
    assert declarations["width"] == declarations["height"] == "1px!important"
    assert not {"display", "visibility", "opacity"} & set(declarations)
    assert ' width="1" height="1" alt="" aria-hidden="true"' in output
