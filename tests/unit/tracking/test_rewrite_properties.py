"""What must hold for every document: only values change, and links lead where their author said."""

from __future__ import annotations

import html as html_text
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from app.lib.http_url import read_destination
from app.tracking.findings import Findings
from app.tracking.html_scan import UnparsableHtml
from app.tracking.link_reasons import Action
from app.tracking.link_rules import LinkRules, decide
from app.tracking.link_table import LinkTable
from app.tracking.personal import fill
from app.tracking.rewrite_html import plan_html, plan_html_or_keep
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


@given(MARKUP | st.lists(PIECES, max_size=12).map(lambda pieces: "".join(piece.source for piece in pieces)))
def test_the_trap_adds_one_element_and_changes_nothing_else(soup: str) -> None:
    try:
        plain, table = plan(soup)
    except UnparsableHtml:
        return
    with_trap = plan_html(soup, LinkTable(), LinkRules(trap=True), Findings(), header_pixel=False, footer_pixel=False)
    urls = [f"https://t.example/{slot}" for slot in range(100)]
    trap = r'<a href="https://t.example/99" aria-hidden="true" tabindex="-1" style="[^"]*"></a>'
    assert len(re.findall(trap, with_trap.render(urls))) <= bool(table.links)
    assert re.sub(trap, "", with_trap.render(urls)) == plain.render(urls)


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


# --- the whole way: html, table, redirect -------------------------------------------------------------------------


class Reader(HTMLParser):
    """The standard library's reader of HTML, which shares nothing with ours: the `href` of every link, in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        first = next((value for name, value in attrs if name == "href"), None)
        if tag in ("a", "area") and first is not None:
            self.found.append(first)


# What both readers read alike: the standard library's knows no title, no CDATA and no `<!-->`.
PLAIN_PIECES = st.one_of(
    anchors(),
    st.text(st.characters(blacklist_characters="<{&", blacklist_categories=["Cs"]), max_size=20).map(Piece),
    st.sampled_from(
        [
            "<!doctype html>\r\n",
            "<!-- <a href='https://x.example'> -->",
            '<!--[if mso]><a href="https://x.example"\'><![endif]-->',
            "<style>a{}<a href='https://x.example'></style>",
            "<script>'<a href=\"https://x.example\">'</script>",
            "<p title='<a href=\"https://x.example\">'>",
            "<table><tr><td>",
            "</td></tr></table></a>",
            "<br/>",
            "&nbsp;&amp;\u00a0\r\n",
            "<img src='https://x.example/a.png' alt='>'>",
            "</body></html>",
            "<body bgcolor=#fff>",
        ]
    ).map(Piece),
)


@given(st.lists(PLAIN_PIECES, max_size=12))
def test_every_link_lands_where_another_reader_says_its_author_wanted(pieces: list[Piece]) -> None:
    source = "".join(piece.source for piece in pieces)
    template, table = plan(source)
    wanted = [url.strip("\t\n\r ").translate({9: None, 10: None, 13: None}) for url in Reader(source).found]
    redirects = [read_destination(link.destination).location for link in table.links]
    assert all(location.isascii() and location.isprintable() and " " not in location for location in redirects)
    for location, url in zip(redirects, wanted, strict=True):
        if url.isascii() and " " not in url:
            assert location == url
        else:
            host, landed = url.split("/")[2], location.split("/")[2]
            assert landed == (host if host.isascii() else "xn--bcher-kva.example")
            assert location.partition(landed)[2] == "".join(
                char if "!" <= char <= "~" else quote(char) for char in url.partition(host)[2]
            )
    # And the reader of what was sent finds our links, one for one.
    urls = {4 + index: f"https://t.example/c/{index}" for index in range(len(table.links))}
    assert Reader(template.render(urls)).found == list(urls.values())


OWN = LinkRules(own_hosts=frozenset({"t.example"}), vml=True, protocol_relative=True, trap=True)


def own(html: str) -> tuple[str, LinkTable]:
    table = LinkTable()
    template = plan_html(html, table, OWN, Findings(), header_pixel=True, footer_pixel=True)
    kind = {0: "o", 1: "o", 2: "u"}
    return template.render({slot: f"https://t.example/{kind.get(slot, 'c')}/{slot}" for slot in range(-1, 600)}), table


@given(MARKUP | st.lists(PIECES, max_size=12).map(lambda pieces: "".join(piece.source for piece in pieces)))
def test_rewriting_what_was_rewritten_changes_nothing(html: str) -> None:
    try:
        once, _ = own(html)
    except UnparsableHtml:
        return
    twice, table = own(once)
    assert twice == once
    assert table.links == ()


@given(MARKUP | st.text(max_size=40), st.booleans())
def test_a_part_that_is_kept_changes_by_its_unsubscribe_link_only(html: str, vml: bool) -> None:
    """`plan_html_or_keep` raises nothing but for half of a surrogate pair."""
    html = html.encode("utf-8", "ignore").decode() + "<!-- {{unsubscribe_url}}"
    table, findings = LinkTable(), Findings(everything=True)
    rules = LinkRules(vml=vml)
    template = plan_html_or_keep(html, table, rules, findings, header_pixel=True, footer_pixel=True)
    if findings.notes:
        assert template.render({2: "{{unsubscribe_url}}"}) == html
        assert (table.links, findings.links) == ((), [])


@given(
    st.lists(
        st.sampled_from([*SOUP, *LINKS, "{{ id }}", "{{", "//", "https://x.example/", "\u202e", "xn--"]), max_size=12
    )
)
def test_every_decision_can_be_followed(pieces: list[str]) -> None:
    """Whatever somebody writes into an href: what is tracked can be redirected to, what is not is the author's own."""
    url = "".join(pieces)
    rules = LinkRules(values=frozenset({"id"}), protocol_relative=True)
    for value in (url, "https://x.example/" + url):
        found = decide(value, rules)
        if found.action is Action.TRACKED:
            destination = fill(found.destination, {"id": "https://y.example/"}) if found.personal else found.destination
            assert read_destination(destination).location
        else:
            assert (found.action, found.destination) == (Action.LEFT, "")
