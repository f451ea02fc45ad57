"""HTML rewriting, case by case: what is tracked, where it leads, what stays as it was."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import InvalidRequest
from app.models.block import Link
from app.tracking.findings import Findings
from app.tracking.link_reasons import Reason
from app.tracking.link_rules import LinkRules
from app.tracking.link_table import LinkTable
from app.tracking.rewrite_html import plan_html
from app.tracking.rewrite_text import plan_text


class UrlOfSlot(dict[int, str]):
    def __missing__(self, slot: int) -> str:
        return f"https://t.example/{slot}"


def rewrite(html: str, **options: Any) -> tuple[str, tuple[str, ...]]:
    """The html for one recipient (slot n leads to https://t.example/n) and the destinations."""
    table = LinkTable()
    pixels = {name: options.pop(name, False) for name in ("header_pixel", "footer_pixel")}
    template = plan_html(html, table, LinkRules(**options), Findings(), **pixels)
    return template.render(UrlOfSlot()), tuple(link.destination for link in table.links)


def assert_tracked(html: str, destination: str, expected: str | None = None) -> None:
    output, destinations = rewrite(html)
    assert destinations == (destination,)
    if expected is not None:
        assert output == expected


def assert_untouched(html: str) -> None:
    assert rewrite(html) == (html, ())


# --- where a link leads -------------------------------------------------------------------------------------------


def test_entities_are_decoded_exactly_once() -> None:
    assert_tracked('<a href="https://x.example/?a=1&amp;b=2">x</a>', "https://x.example/?a=1&b=2")
    assert_tracked('<a href="https://x.example/?a=&amp;amp;">x</a>', "https://x.example/?a=&amp;")
    assert_tracked('<a href="https://x.example/?a&#38;b&#x26;c">x</a>', "https://x.example/?a&b&c")
    assert_tracked('<a href="https&colon;//x&period;example">x</a>', "https://x.example")


def test_entity_without_semicolon_before_equals_or_letter_is_not_decoded() -> None:
    assert_tracked('<a href="https://x.example/?a=1&copy=2">x</a>', "https://x.example/?a=1&copy=2")
    assert_tracked('<a href="https://x.example/?a=1&copyright">x</a>', "https://x.example/?a=1&copyright")
    assert_tracked('<a href="https://x.example/?a=1&section=2&lt">x</a>', "https://x.example/?a=1&section=2<")
    assert_tracked('<a href="https://x.example/?a=1&amp=2">x</a>', "https://x.example/?a=1&amp=2")
    assert_tracked('<a href="https://x.example/?a=1&amp;=2">x</a>', "https://x.example/?a=1&=2")


@pytest.mark.parametrize(
    "url",
    [
        "https://x.example/?q=fish%26chips",
        "https://x.example/p#grün",
        "https://x.example/#section-2",
        "https://x.example/?ids[]=1&ids[]=2",
        "https://bücher.example/straße?x=😀",
        "http://x.example:8080/a;v=1?x",
        "https://b.example/k?X-Amz-Signature=aBc%2F&X-Amz-Date=2&A=1",
        "https://x.example/" + "a" * 2050,
        "https://x.example/a\u200bb\u202ec",
        "HTTPS://X.Example/Path",
        "https://x.example/a b",
        "https://x.example/a\u00a0b",
        "https://x.example/?u=https://y.example/&v='",
        "https://x.example",
    ],
)
def test_destination_is_kept_character_for_character(url: str) -> None:
    assert_tracked(f'<a href="{url}">x</a>', url, '<a href="https://t.example/4">x</a>')


def test_blanks_and_newlines_of_a_url_go_as_the_url_standard_says() -> None:
    assert_tracked('<a href="https://x.example\n/path">x</a>', "https://x.example/path")
    assert_tracked('<a href=" \r\n\thttps://x.example/pa\n\tth\r\n \x0c">x</a>', "https://x.example/path")
    assert_tracked('<a href="&#9;https://x.example/&NewLine;path&#32;">x</a>', "https://x.example/path")


def test_space_left_inside_a_host_is_not_a_link() -> None:
    assert_untouched('<a href="https://x.example\n  /path">x</a>')


# --- how an attribute may be written ------------------------------------------------------------------------------


def test_unquoted_value_is_rewritten_and_quoted() -> None:
    assert_tracked(
        "<a href=https://x.example/u target=_blank>x</a>",
        "https://x.example/u",
        '<a href="https://t.example/4" target=_blank>x</a>',
    )
    assert_tracked("<a href=https://x.example/>x</a>", "https://x.example/", '<a href="https://t.example/4">x</a>')


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<A HREF = "https://x.example">', '<A HREF = "https://t.example/4">'),
        ("<a\nhref='https://x.example'\n>", "<a\nhref='https://t.example/4'\n>"),
        ('<a\r\n\thref\n=\n"https://x.example"/>', '<a\r\n\thref\n=\n"https://t.example/4"/>'),
        ('<A/href="https://x.example">', '<A/href="https://t.example/4">'),
        ('<a / href="https://x.example" / >', '<a / href="https://t.example/4" / >'),
        ('<a download href="https://x.example">', '<a download href="https://t.example/4">'),
        ('<a x=">" href="https://x.example">', '<a x=">" href="https://t.example/4">'),
        ("<a x='\"' href='https://x.example'>", "<a x='\"' href='https://t.example/4'>"),
        ('<a title="x"href="https://x.example"id=y>', '<a title="x"href="https://t.example/4"id=y>'),
        ('<a =x href="https://x.example">', '<a =x href="https://t.example/4">'),
        ('<a "x" href="https://x.example">', '<a "x" href="https://t.example/4">'),
        ('<a <b href="https://x.example">', '<a <b href="https://t.example/4">'),
        (
            '<a href="https://x.example" href="https://y.example">',
            '<a href="https://t.example/4" href="https://y.example">',
        ),
        ('<map><area href="https://x.example"></map>', '<map><area href="https://t.example/4"></map>'),
        ('<svg><a href="https://x.example"/></svg>', '<svg><a href="https://t.example/4"/></svg>'),
        ('<noscript><a href="https://x.example"></noscript>', '<noscript><a href="https://t.example/4"></noscript>'),
        ('<template><a href="https://x.example"></template>', '<template><a href="https://t.example/4"></template>'),
        ('< a <1 <a href="https://x.example">', '< a <1 <a href="https://t.example/4">'),
        ('<p>a<b</p><a href="https://x.example">', '<p>a<b</p><a href="https://t.example/4">'),
        ('</><a href="https://x.example">', '</><a href="https://t.example/4">'),
        ('<?xml version="1.0"?><a href="https://x.example">', '<?xml version="1.0"?><a href="https://t.example/4">'),
        ('<![if !mso]><a href="https://x.example"><![endif]>', '<![if !mso]><a href="https://t.example/4"><![endif]>'),
        (
            '<!--[if !mso]><!--><a href="https://x.example"><!--<![endif]-->',
            '<!--[if !mso]><!--><a href="https://t.example/4"><!--<![endif]-->',
        ),
        ('<!--><a href="https://x.example">', '<!--><a href="https://t.example/4">'),
        ('<!-- a --!><a href="https://x.example">', '<!-- a --!><a href="https://t.example/4">'),
        ('\x00<a\x0chref="https://x.example">\x00', '\x00<a\x0chref="https://t.example/4">\x00'),
        (
            "<p " + "a=1 " * 100 + '><a href="https://x.example">',
            "<p " + "a=1 " * 100 + '><a href="https://t.example/4">',
        ),
    ],
)
def test_every_way_to_write_a_link_is_found(html: str, expected: str) -> None:
    assert_tracked(html, "https://x.example", expected)


def test_quote_of_the_other_kind_belongs_to_the_url() -> None:
    assert_tracked("<a href='https://x.example/x\"y'>", 'https://x.example/x"y', "<a href='https://t.example/4'>")


# --- what is left alone -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "",
        "#",
        "#top",
        "/path",
        "?q=1",
        "path/x",
        "//cdn.example/x",
        "mailto:a@x.example",
        "tel:+4930123",
        "sms:+4930123",
        "javascript:open('https://x.example')",
        "data:text/html,https://x.example",
        "cid:part1",
        "callto:x",
        "geo:1,2",
        "webcal://x.example/a.ics",
        "intent://x.example#Intent;scheme=https;end",
        "shop://open?to=https://x.example",
        "https:x.example",
        "https:/x.example",
        "https://",
        "https:///x.example",
        "https://x.example\\@y.example/",
        "https://x.example/a\\b",
        "https://a:b@x.example/",
        "https://[2001:db8::1]:8443/",
        "https://127.0.0.1/",
        "https://printer/",
        "https:\\\\x.example",
        "https://x\x00.example",
        "\x00https://x.example",
        "https://x.example/\x01a",
        "\u00a0https://x.example",
        "https://x.example/{{ id }}",
        "{{ web_view }}",
        "https://x.example/{% if a %}b{% endif %}",
        "https://x.example/<%= id %>",
        "https://x.example/*|ID|*",
        "https://x.example/%%id%%",
        "https://x.example/${id}",
        "httpss://x.example",
    ],
)
def test_what_is_no_plain_web_url_is_untouched(value: str) -> None:
    assert_untouched(f'<a href="{value}">x</a>')


@pytest.mark.parametrize(
    "html",
    [
        '<a name="x">x</a>',
        "<a href>x</a>",
        "<a href=>x</a>",
        "<a href= >x</a>",
        '<link href="https://x.example/a.css"><base href="https://b.example/"><a href="rel">x</a>',
        '<img src="https://x.example/a.png"><form action="https://x.example/"></form>',
        '<svg><a xlink:href="https://x.example">x</a></svg>',
        '<a\u00a0href="https://x.example">x</a>',
        '<a data-href="https://x.example">x</a>',
        '<abbr href="https://x.example">x</abbr>',
        '</a href="https://x.example">',
        '<a href="" href="https://x.example">x</a>',
        '<!-- <a href="https://x.example">x</a> -->',
        '<!--[if mso]><v:roundrect href="https://x.example/?a=1&amp;b=2"><a href="https://x.example">x</a><![endif]-->',
        '<!--[if mso]><v:x a=\'"\' b="\'"><a href="https://x.example"><![endif]--><p>\'',
        '<![CDATA[ <b>x</b> <a href="https://x.example">x</a> ]]>',
        '<svg><![CDATA[ > <a href="https://x.example"> ]]></svg>',
        "<style>a:after{content:\"<a href='https://x.example'>\"}</style>",
        "<script>document.write(\"<a href='https://x.example'>\")</script>",
        '<script><!-- <script> </script> <a href="https://x.example"> --></script>',
        '<textarea><a href="https://x.example"></textarea>',
        '<TITLE><a href="https://x.example"></TITLE >',
        '<title><a href="https://x.example"></titles></title>',
        '<xmp><a href="https://x.example"></xmp><iframe><a href="https://x.example"></iframe>',
        '<!doctype html "<a href=x"><?x <a href="https://x.example">',
        "<p>unclosed <b>crossed</p> & &nbsp; &bogus; < 3\u00a0</b></i><br/>\r\n\x00",
    ],
)
def test_what_is_no_link_is_untouched(html: str) -> None:
    assert_untouched(html)


def test_kelvin_sign_is_no_k() -> None:
    assert rewrite('<a data-trac\u212a="off" href="https://x.example">')[1] == ("https://x.example",)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<a data-track="off" href="https://x.example">x</a>', '<a href="https://x.example">x</a>'),
        ("<a href=https://x.example/ data-track=off>x</a>", "<a href=https://x.example/>x</a>"),
        ("<a href=https://x.example/ DATA-TRACK=' OFF '/>x</a>", "<a href=https://x.example/ />x</a>"),
        ('<a\n data-track="off"\n href="#">x</a>', '<a\n href="#">x</a>'),
        ('<a data-track="off"href="https://x.example">x</a>', '<a href="https://x.example">x</a>'),
        ('<a href="mailto:a@x.example" data-track="&#111;ff">', '<a href="mailto:a@x.example">'),
    ],
)
def test_opted_out_link_is_untouched_and_loses_the_attribute(html: str, expected: str) -> None:
    assert rewrite(html) == (expected, ())
    assert rewrite(html, track_clicks=False) == (expected, ())


def test_other_data_track_values_stay() -> None:
    assert_tracked(
        '<a data-track="cta" href="https://x.example">',
        "https://x.example",
        '<a data-track="cta" href="https://t.example/4">',
    )


def test_track_clicks_off_leaves_links_alone_whatever_their_host() -> None:
    html = '<a href="https://x.example">x</a>{{unsubscribe_url}}'
    assert rewrite(html, track_clicks=False, allows=lambda host: False) == (
        '<a href="https://x.example">x</a>https://t.example/2',
        (),
    )


# --- links, labels, limits ----------------------------------------------------------------------------------------


def test_same_url_three_times_is_three_links_with_their_own_labels() -> None:
    table = LinkTable()
    anchor = '<a href="https://x.example">{}</a>'
    html = anchor.format(" Buy\n <b>now</b> &amp; here ") + anchor.format('<img alt="Shop &lt;3">') + anchor.format("")
    template = plan_html(html, table, LinkRules(), Findings(), header_pixel=False, footer_pixel=False)
    assert table.links == (
        Link("https://x.example", "Buy now & here"),
        Link("https://x.example", "Shop <3"),
        Link("https://x.example", ""),
    )
    assert template.slots == {4, 5, 6}


def test_link_in_text_is_the_first_link_of_the_html_with_that_destination() -> None:
    table = LinkTable()
    html = (
        '<a href="https://y.example/?a&amp;b">1</a><a href="https://x.example">2</a><a href="https://x.example">3</a>'
    )
    plan_html(html, table, LinkRules(), Findings(), header_pixel=False, footer_pixel=False)
    text = plan_text(
        "https://x.example https://y.example/?a&b https://z.example https://z.example",
        table,
        LinkRules(),
        Findings(),
    )
    assert text.parts[1::2] == (5, 4, 7, 7)


def test_area_and_unclosed_anchors_have_labels_too() -> None:
    table = LinkTable()
    html = '<a href="https://x.example">one<a href="https://x.example">two<area alt="three" href="https://x.example">'
    html += '<a href="https://x.example">four <style>not this</style><!-- nor this -->' + "x" * 1000
    plan_html(html, table, LinkRules(), Findings(), header_pixel=False, footer_pixel=False)
    assert [link.label for link in table.links] == ["one", "two", "three", "four " + "x" * 75]


def test_forbidden_destination_is_left_alone_and_among_the_refused() -> None:
    findings, table = Findings(), LinkTable()
    html = '<a href="https://x.example">x</a>\n <a href="https://y.example">y</a>'
    rules = LinkRules(allows=lambda host: host == "x.example")
    template = plan_html(html, table, rules, findings, header_pixel=False, footer_pixel=False)
    assert template.render(UrlOfSlot()) == html.replace("https://x.example", "https://t.example/4")
    assert [(found.url, found.reason, found.line, found.column) for found in findings.refused] == [
        ("https://y.example", Reason.NOT_ALLOWED, 2, 5)
    ]


def test_more_links_than_allowed_are_refused() -> None:
    assert len(rewrite('<a href="https://x.example">' * 500)[1]) == 500
    with pytest.raises(InvalidRequest) as error:
        rewrite('<a href="https://x.example">' * 501)
    assert error.value.code == "too_many_links"


@pytest.mark.parametrize("placeholder", ["{{unsubscribe_url}}", "{{ unsubscribe_url }}", "{{\tunsubscribe_url  }}"])
def test_unsubscribe_placeholder_is_filled_everywhere_and_never_tracked(placeholder: str) -> None:
    html = '<a href="@">x</a> @ <!--[if mso]><v:x href="@"><![endif]--><a href=@>'
    assert rewrite(html.replace("@", placeholder)) == (html.replace("@", "https://t.example/2"), ())


def test_other_placeholders_stay() -> None:
    assert_untouched("{{unsubscribe_urls}} {{ name }} {{unsubscribe_url} {unsubscribe_url}}")
