"""What must hold for every document: only values change, and links lead where their author said."""

from __future__ import annotations

import html as html_text
import re
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from app.tracking.findings import Findings
from app.tracking.html_scan import UnparsableHtml
from app.tracking.link_rules import LinkRules
from app.tracking.link_table import LinkTable
from app.tracking.rewrite_html import plan_html
from app.tracking.rewrite_text import plan_text
from app.tracking.template import Template


@dataclass(frozen=True)
class Piece:
    """A bit of a document, and when it is a link: where it leads and its value as it stands in the source."""

    source: str
    destination: str | None = None
    value: str = ""


def plan(html: str) -> tuple[Template, LinkTable]:
    table = LinkTable()
    template = plan_html(html, table, LinkRules(), Findings(), header_pixel=False, footer_pixel=False)
    return template, table


URLS = st.builds(
    "{}://{}{}".format,
    st.sampled_from(["http", "https", "HTTPS"]),
    st.sampled_from(["x.example", "bücher.example", "x.example:8080", "a-b.x.example"]),
    st.text(st.sampled_from("/?#&=;%2[]()'\"+.:@!~äß😀\u200b aZ9-_,*|$<>`^"), max_size=20).map(
        lambda tail: ("/" + re.sub("[<>]", "", tail)).rstrip()
    ),
).filter(lambda url: "%%" not in url and "*|" not in url)


@st.composite
def anchors(draw: st.DrawFn) -> Piece:
    url = draw(URLS)
    quote = draw(st.sampled_from("\"'"))
    value = html_text.escape(url, quote=True)
    if draw(st.booleans()):  # the other ways to write a reference
        value = value.replace("&amp;", draw(st.sampled_from(["&#38;", "&#x26;", "&AMP;"]))).replace("/", "&sol;")
    blanks = draw(st.sampled_from(["", " ", "\n", "\t \r\n"]))
    name = draw(st.sampled_from(["href", "HREF", "hReF"]))
    equals = draw(st.sampled_from(["=", " = ", "\n=\t"]))
    before = draw(st.sampled_from([" ", "\n", " class='a>b' ", "/", ' title="&quot;<a href=x>" ', " disabled "]))
    after = draw(st.sampled_from(["", " ", "/", " id=x", " href='https://y.example/second'"]))
    tag = draw(st.sampled_from(["a", "A", "area"]))
    value = blanks + value + blanks
    return Piece(f"<{tag}{before}{name}{equals}{quote}{value}{quote}{after}>", url, value)


PIECES = st.one_of(
    anchors(),
    st.text(st.characters(blacklist_characters="<{", blacklist_categories=["Cs"]), max_size=20).map(Piece),
    st.sampled_from(
        [
            "<!doctype html>",
            "<!-- <a href='https://x.example'> -->",
            '<!--[if mso]><v:rect href="https://x.example"\'><a href="https://x.example"><![endif]-->',
            "<![if !mso]>",
            "<![CDATA[<a href='https://x.example'>]]>",
            "<style>a{}<a href='https://x.example'></style>",
            "<script>'<a href=\"https://x.example\">'</script>",
            "<title>\"<a href='https://x.example'></title>",
            "<a href='mailto:a@x.example'>",
            "<a name=x>",
            "</a>",
            "<br/>",
            "<p class=x>",
            "< ",
            "&nbsp;\u00a0\r\n",
            "<img src='https://x.example/a.png' alt='>'>",
            "<o:p></o:p>",
            "</body></html>",
            "<body bgcolor=#fff>",
            "{{ name }}",
        ]
    ).map(Piece),
)


@given(st.lists(PIECES, max_size=12))
def test_only_link_values_change_and_destinations_are_the_authors(pieces: list[Piece]) -> None:
    source = "".join(piece.source for piece in pieces)
    links = [piece for piece in pieces if piece.destination is not None]
    template, table = plan(source)
    assert [link.destination for link in table.links] == [piece.destination for piece in links]
    values = {4 + index: piece.value for index, piece in enumerate(links)}
    assert "".join(values[part] if isinstance(part, int) else part for part in template.parts) == source


SOUP = re.findall(
    r"\S+",
    """< > / = " ' ! - -- <!-- --> a A href href= <a </a https://x.example http:// [ ]] <![CDATA[ script <script
    </script> <style> </style> title <title> & &amp; &# ; { {{ }} % svg <svg <body> </body> data-track= off ? # é""",
)
LINKS = ["<a href=", "<a href=https://x.example>", '<a title=\'"\' href="https://x.example/" ', ">x</a>"]
MARKUP = st.lists(st.sampled_from([*SOUP, *LINKS, " ", "\n", "\r\n", "\t", "\x0c", "\u00a0", "\x00"]), max_size=40).map(
    "".join
)


@given(MARKUP)
def test_any_soup_is_refused_or_rewritten_the_same_way_twice(soup: str) -> None:
    """Rewriting what was rewritten finds the same links in the same places, and the same text around them."""
    try:
        first, table = plan(soup)
    except UnparsableHtml:
        return
    urls = {4 + index: f"https://t.example/c/{index}" for index in range(len(table.links))}
    second, again = plan(first.render(urls))
    assert [link.destination for link in again.links] == list(urls.values())
    assert second.parts == first.parts
    if "data-track" not in soup and not table.links:
        assert first.render({}) == soup


@given(MARKUP)
def test_pixels_add_and_change_nothing_else(soup: str) -> None:
    try:
        plain, _ = plan(soup)
    except UnparsableHtml:
        return
    with_pixels = plan_html(soup, LinkTable(), LinkRules(), Findings(), header_pixel=True, footer_pixel=True)
    urls = [f"https://t.example/{slot}" for slot in range(100)]
    pixel = r'<img src="https://t.example/[01]" [^>]*>'
    assert len(re.findall(pixel, with_pixels.render(urls))) == 2
    assert re.sub(pixel, "", with_pixels.render(urls)) == plain.render(urls)


WORDS = st.sampled_from(
    ["See", "(", ")", "[", "]", "<", ">", ".", ",", "!", "'", '"', " ", "\n", "\u00a0", "a.b", "é", "。", "*"]
)


@given(st.lists(st.one_of(WORDS, URLS.map(lambda url: f" {url} "), st.text(max_size=5)), max_size=20))
def test_text_keeps_every_character_around_and_inside_its_urls(pieces: list[str]) -> None:
    text = "".join(pieces).encode("utf-8", "ignore").decode()
    table = LinkTable()
    template = plan_text(text, table, LinkRules(), Findings())
    destinations = {4 + index: link.destination for index, link in enumerate(table.links)}
    assert template.render(destinations) == text


@given(st.lists(st.sampled_from(["https://x.example/a", "http://y.example/?q=(1)", "https://z.example"]), max_size=6))
def test_urls_between_words_are_all_found(urls: list[str]) -> None:
    table = LinkTable()
    plan_text("Go ".join(f"({url}), " for url in urls), table, LinkRules(), Findings())
    assert [link.destination for link in table.links] == list(dict.fromkeys(urls))
