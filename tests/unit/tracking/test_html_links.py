"""Links of HTML beyond the plain anchor: Outlook's shapes, AMP, base, drawings, personalised and unsubscribe links."""

from __future__ import annotations

import re

import pytest

from app.errors import InvalidRequest
from app.models.block import Link
from app.tracking.findings import Findings
from app.tracking.html_scan import UnparsableHtml
from app.tracking.link_reasons import Action, Reason
from app.tracking.link_rules import LinkRules
from app.tracking.link_table import LinkTable
from app.tracking.rewrite_html import plan_html
from tests.unit.tracking.rewriting import rewritten

BUTTON = (
    "<!--[if mso]>\r\n<v:roundrect xmlns:v='urn:x' HREF = '@' style='x'><w:anchorlock/><center>Go</center>"
    '</v:roundrect>\r\n<![endif]--><!--[if !mso]><!--><a href="@">Go</a><!--<![endif]-->'
)
URL = "https://x.example/?a=1&amp;b=2"


# --- Outlook's shapes ---------------------------------------------------------------------------------------------


def test_without_the_option_a_conditional_comment_survives_byte_for_byte() -> None:
    found = rewritten(BUTTON.replace("@", URL))
    assert found.output == BUTTON.replace("'@'", f"'{URL}'").replace('"@"', '"https://t.example/4"')
    assert found.destinations == ("https://x.example/?a=1&b=2",)


def test_with_the_option_a_shape_leads_where_its_twin_leads() -> None:
    found = rewritten(BUTTON.replace("@", URL), vml=True)
    assert found.output == BUTTON.replace("@", "https://t.example/4")
    assert found.links == (Link("https://x.example/?a=1&b=2", "Go"),)


def test_upper_case_makes_no_difference_to_a_shape() -> None:
    html = "<!--[IF MSO | IE]><V:RECT HREF='@' data-track=on><![ENDIF]-->"
    assert rewritten(html.replace("@", URL), vml=True).output == html.replace("@", "https://t.example/4")


def test_each_shape_belongs_to_the_anchor_that_follows_it() -> None:
    html = BUTTON * 3 + "<!--[if mso]><v:rect href='@'></v:rect><![endif]-->"
    output = rewritten(html.replace("@", URL), vml=True).output
    assert re.findall(r"https://t\.example/(\d+)", output) == ["4", "4", "5", "5", "6", "6", "6"]


def test_shapes_without_an_anchor_share_a_link_of_their_own() -> None:
    html = '<!--[if gte mso 9]><v:rect href="@"/><v:oval href=@ ><![endif]--><![if mso]><v:rect href="@"><![endif]>'
    found = rewritten(html.replace("@", "https://x.example/"), vml=True)
    assert found.output == html.replace("@ >", '"@" >').replace("@", "https://t.example/4")
    assert found.destinations == ("https://x.example/",)


@pytest.mark.parametrize(
    "html",
    [
        "<!-- <v:rect href='https://x.example'> -->",
        "<!--[if mso]><a href='https://x.example'>x</a><![endif]-->",
        "<!--[if mso]><v:rect href='https://x.example'>-->",
        "<!--[if mso]><v:rect href='https://x.example'><v:rect href='<![endif]-->",
        "<!--[if mso]><v:rect href='https://x.example'><!-- <![endif]-->",
        "<!--[if mso]><v:rect data-href='https://x.example' href='mailto:a@x.example'><![endif]-->",
        "<!--[if mso]><v:rect href='https://t.example/4'><![endif]-->",
        "<!--[if mso]><style>v\\:* {behavior:url(#default#VML)} <v:rect href='https://x.example'></style><![endif]-->",
        "<!--[if mso]><v:rect data-track='OFF' href='https://x.example'><![endif]-->",
        "<vx href='https://x.example'><!--[if mso]><v:rect><![endif]-->",
    ],
)
def test_what_is_no_shape_in_a_conditional_comment_stays(html: str) -> None:
    found = rewritten(html, vml=True)
    assert (found.output, found.links) == (html, ())


def test_a_shape_is_left_when_its_twin_is() -> None:
    html = BUTTON.replace("@", URL).replace("<a ", '<a data-track="off" ') + BUTTON.replace("@", URL)
    found = rewritten(html, vml=True)
    assert found.output == BUTTON.replace("@", URL) + BUTTON.replace("@", "https://t.example/4")
    assert [link.reason for link in found.findings.links].count(Reason.OPT_OUT) == 2


def test_a_refused_shape_refuses_the_request() -> None:
    found = rewritten(
        "<!--[if mso]>\n<v:rect href='https://x.example'><![endif]-->", vml=True, allows=lambda host: False
    )
    assert [(link.line, link.column, link.reason) for link in found.findings.refused] == [(2, 9, Reason.NOT_ALLOWED)]


def test_nested_conditional_comments_are_read_to_the_first_end() -> None:
    html = "<!--[if mso]><!--[if gte mso 9]><v:rect href='https://x.example'><![endif]-->" * 1000
    assert rewritten(html, vml=True).output == html


# --- whole documents that stay ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mark", ["⚡4email", "amp4email", "⚡\ufe0f4email", "AMP4EMAIL data-css-strict", "⚡", "lang=en amp"]
)
def test_an_amp_document_stays_as_it_is(mark: str) -> None:
    html = f'<!doctype html><html {mark}><body><a href="https://x.example">{{{{unsubscribe_url}}}}</a></body></html>'
    found = rewritten(html, header_pixel=True, footer_pixel=True)
    assert (found.output, found.links, found.codes) == (html, (), ["amp_document"])


def test_amp_in_a_value_or_elsewhere_is_no_amp_document() -> None:
    html = '<html lang="amp"><body amp><a href="https://x.example" ⚡>x</a>'
    assert rewritten(html).destinations == ("https://x.example",)


def test_unreadable_html_is_kept_and_only_the_unsubscribe_link_is_filled() -> None:
    html = '<a href="https://x.example/">x</a> {{unsubscribe_url}}\n <a href="https://x.example>y</a> &amp;'
    found = rewritten(html, keep=True, header_pixel=True, footer_pixel=True)
    assert found.output == html.replace("{{unsubscribe_url}}", "https://t.example/2")
    assert found.links == ()
    assert found.findings.links == []
    assert [(warning["code"], warning["line"], warning["column"]) for warning in found.findings.warnings()] == [
        ("unparsable_html", 2, 5)
    ]


def test_unreadable_html_leaves_the_links_of_other_parts_alone() -> None:
    table, findings = LinkTable(), Findings(everything=True)

    def plan(html: str) -> None:
        plan_html(html, table, LinkRules(), findings, header_pixel=False, footer_pixel=False)

    plan('<a href="https://x.example/1">')
    with pytest.raises(UnparsableHtml):
        plan('<a href="https://x.example/2"></a><a href="/"></a><a href="https://x.example/1"></a><!--')
    plan('<a href="https://x.example/3">')
    assert [link.destination for link in table.links] == ["https://x.example/1", "https://x.example/3"]
    assert [link.url for link in findings.links] == ["https://x.example/1", "https://x.example/3"]
    assert table.shared("https://x.example/2") == 6


# --- links in other places ----------------------------------------------------------------------------------------


def test_relative_links_after_a_base_have_their_own_warning() -> None:
    html = '<a href="/a">1</a><base target="_top"><a href="b">2</a><base href="https://b.example/"><a href="?c">3</a>'
    html += '<a href="https://x.example/">4</a><a href="#d">5</a>'
    found = rewritten(html)
    assert found.codes == ["relative_url", "relative_url", "base_href"]
    assert found.destinations == ("https://x.example/",)
    assert found.output == html.replace("https://x.example/", "https://t.example/4")


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ('<svg><a xlink:href="https://x.example"><text>x</text></a></svg>', Reason.SVG_LINK),
        ('<a XLINK:HREF="https://x.example">x</a>', Reason.SVG_LINK),
    ],
)
def test_a_drawings_own_kind_of_link_is_left_and_reported(html: str, reason: Reason) -> None:
    found = rewritten(html)
    assert (found.output, found.codes) == (html, ["svg_link"])
    assert [(link.action, link.reason) for link in found.findings.links] == [(Action.LEFT, reason)]


def test_href_of_a_drawings_link_wins_over_xlink() -> None:
    html = '<svg><a xlink:href="https://y.example" href="https://x.example"/></svg>'
    found = rewritten(html)
    assert found.output == '<svg><a xlink:href="https://y.example" href="https://t.example/4"/></svg>'


def test_inert_and_fallback_markup_is_tracked_like_any() -> None:
    html = '<template><a href="@">x</a></template><noscript><a href="@">y</a></noscript><dialog><a href="@">z</a>'
    found = rewritten(html.replace("@", "https://x.example"))
    assert [link.label for link in found.links] == ["x", "y", "z"]


def test_of_two_equal_attributes_the_first_counts() -> None:
    for html in (
        '<a href="#" href="https://x.example">',
        '<a href="https://x.example" data-track="on" data-track="off">',
        '<area href="https://x.example" href="https://y.example">',
    ):
        assert rewritten(html).destinations == (() if '"#"' in html else ("https://x.example",))
    off = rewritten('<a href="https://x.example" data-track="off" data-track="on">')
    assert (off.output, off.links) == ('<a href="https://x.example" data-track="on">', ())


# --- placeholders -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "{{unsubscribe_url}}",
        "{{ unsubscribe_url }}",
        "%7B%7Bunsubscribe_url%7D%7D",
        "%7b%7B%20unsubscribe_url%20%7D%7d",
        "%7B%7B+unsubscribe_url+%7D%7D",
        "http://{{unsubscribe_url}}",
        "HTTPS://%7B%7Bunsubscribe_url%7D%7D",
        "{{{ unsubscribe_url }}}",
        "{{\u00a0unsubscribe_url&nbsp;}}",
        "&#123;&#123;unsubscribe_url&rcub;&rcub;",
    ],
)
def test_the_unsubscribe_link_is_filled_however_an_editor_spoilt_it(value: str) -> None:
    found = rewritten(f"<a href='{value}'>x</a> <a href={value.replace(' ', '')}>y</a>")
    assert found.output == "<a href='https://t.example/2'>x</a> <a href=https://t.example/2>y</a>".replace(
        "<a href=https://t.example/2>",
        '<a href="https://t.example/2">' if value[0] == "&" else "<a href=https://t.example/2>",
    )
    assert {link.reason for link in found.findings.links} == {Reason.UNSUBSCRIBE}


def test_personalised_links_are_one_logical_link_each() -> None:
    html = '<a href="https://x.example/o/{{ order }}?a=1&amp;b={{b}}">x</a> <a href="{{ link }}">y</a> {{ name }}'
    text = "https://x.example/o/{{order}}?a=1&b={{ b }} and {{ link }}, {{ web_view }} {{ name }}"
    values = frozenset({"order", "b", "link", "name", "web_view"})
    found = rewritten(html, text, values=values)
    assert found.links == (
        Link("https://x.example/o/{{order}}?a=1&b={{b}}", "x", personal=True),
        Link("{{link}}", "y", personal=True),
    )
    assert found.output == "https://t.example/4 and https://t.example/5, {{ web_view }} {{ name }}"
    output = rewritten(html, values=values).output
    assert output == '<a href="https://t.example/4">x</a> <a href="https://t.example/5">y</a> {{ name }}'


def test_without_values_placeholders_are_left_for_the_brand_to_fill() -> None:
    html = '<a href="https://x.example/{{ id }}">x</a><a href="https://x.example/">y</a>'
    found = rewritten(html)
    assert found.output == html.replace('"https://x.example/"', '"https://t.example/4"')
    assert found.codes == ["filled_later"]


def test_more_links_than_allowed_are_refused_whatever_kind_they_are() -> None:
    with pytest.raises(InvalidRequest) as error:
        rewritten("".join(f"<!--[if mso]><v:r href='https://x.example/{n}'><![endif]-->" for n in range(501)), vml=True)
    assert error.value.code == "too_many_links"
