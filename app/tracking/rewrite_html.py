"""HTML rewriting: finds the links and the pixels' places, and splices slots in. `html_scan` reads, `template` renders.

Only the values of tracked `href` attributes, `data-track="off"` and `{{unsubscribe_url}}` are touched, pixels are
added; every other character of the document stays as it is.
"""

from __future__ import annotations

import html as html_text
import re
from collections.abc import Callable

from app.models.block import Slot
from app.tracking.html_scan import (
    DOCTYPE,
    RAW_TEXT,
    Attribute,
    Token,
    UnparsableHtml,
    attributes,
    decode_attribute,
    tokens,
)
from app.tracking.link_table import LABEL_LENGTH, LinkTable, web_destination
from app.tracking.template import Splice, Template, assemble, refuse_lone_surrogates

UNSUBSCRIBE_PLACEHOLDER = re.compile(r"\{\{[ \t]*+unsubscribe_url[ \t]*+\}\}")
_MARKUP_IN_URL = re.compile(r"<[A-Za-z/!]")

_PIXEL_BEFORE = '<img src="'
_PIXEL_AFTER = (
    '" width="1" height="1" alt="" aria-hidden="true"'
    ' style="display:block;width:1px;height:1px;border:0;margin:0;padding:0">'
)
# Start and end tags after which a document is still before its first visible content.
_HEAD_TAGS = frozenset(
    f"{slash}{name}"
    for name in ("html", "head", "title", "meta", "link", "base", "basefont", "bgsound", "style", "script")
    for slash in ("", "/")
)


def plan_html(
    html: str,
    table: LinkTable,
    *,
    header_pixel: bool,
    footer_pixel: bool,
    accept: Callable[[str], None],
    track_clicks: bool,
) -> Template:
    """Analyse one HTML document or fragment.

    Tracked: `<a href>` and `<area href>` with an http(s) URL, outside comments (MSO conditional ones too), CDATA and
    raw text. The placeholder `{{unsubscribe_url}}` is filled wherever it stands, in comments too (Outlook's own copy).

    Args:
        table: takes the links, one per anchor.
        header_pixel: a pixel right after `<body>`, without one after the head, else first.
        footer_pixel: a pixel before the last `</body>`, without one at the end.
        accept: called with each destination that will be tracked, exactly as it will be redirected to; raises
            InvalidRequest when the brand forbids it.
        track_clicks: False leaves every link alone (`data-track="off"` is removed all the same).

    Raises:
        UnparsableHtml: the document has no sensible reading.
        InvalidRequest: too many links, a forbidden destination, half of a surrogate pair.
    """
    refuse_lone_surrogates(html)
    places = _PixelPlaces(html)
    links = _Links(html, table, accept, track_clicks)
    previous_end = places.header
    for token in tokens(html):
        places.see(token, previous_end)
        links.see(token, previous_end)
        previous_end = token.end
    links.finish(len(html), previous_end)
    splices = []
    if header_pixel:
        splices.append(_pixel(places.header, Slot.PIXEL_HEADER))
    if footer_pixel:
        splices.append(_pixel(len(html) if places.footer is None else places.footer, Slot.PIXEL_FOOTER))
    splices += links.splices
    splices += [
        Splice(found.start(), found.end(), (int(Slot.UNSUBSCRIBE),)) for found in UNSUBSCRIBE_PLACEHOLDER.finditer(html)
    ]
    return assemble(html, splices, escape=True)


def _pixel(at: int, slot: Slot) -> Splice:
    return Splice(at, at, (_PIXEL_BEFORE, int(slot), _PIXEL_AFTER))


class _PixelPlaces:
    """Where the pixels go, learnt token by token."""

    def __init__(self, html: str) -> None:
        self._html = html
        self.header = 1 if html.startswith("\ufeff") else 0  # a byte order mark has to stay first
        self.footer: int | None = None
        self._before_content = True
        self._seen_body = False

    def see(self, token: Token, previous_end: int) -> None:
        name = token.name
        if name == "body" and not self._seen_body:
            self._seen_body = True
            self._before_content = False
            self.header = token.end
        elif name == "/body":
            self.footer = token.start
        elif name == "/head" and not self._seen_body:
            self.header = token.end
        elif self._before_content:
            self._advance(token, previous_end)

    def _advance(self, token: Token, previous_end: int) -> None:
        """Comments neither end the head nor move the pixel: one may open a region that only some clients show."""
        name = token.name
        if name == RAW_TEXT:
            return
        if previous_end != token.start and not self._html[previous_end : token.start].isspace():
            self._before_content = False
        elif name in _HEAD_TAGS or name == DOCTYPE:
            self.header = token.end
        elif name[0] != "!":
            self._before_content = False


class _Links:
    """Turns tags into splices and links. An anchor is added when it closes, because its text is its label."""

    def __init__(self, html: str, table: LinkTable, accept: Callable[[str], None], track_clicks: bool) -> None:
        self.splices: list[Splice] = []
        self._html = html
        self._table = table
        self._accept = accept
        self._track_clicks = track_clicks
        self._open: tuple[str, Attribute] | None = None
        self._label: list[str] = []
        self._label_length = 0

    def see(self, token: Token, previous_end: int) -> None:
        name = token.name
        if self._open is not None:
            self._read_label(token, previous_end)
            if name in ("a", "/a", "area"):
                self._close()
        if name in ("a", "area"):
            self._tag(token)

    def finish(self, end: int, previous_end: int) -> None:
        """The document is over; an anchor may still be open."""
        if self._open is not None:
            self._read_label(Token("", end, end), previous_end)
            self._close()

    def _tag(self, tag: Token) -> None:
        href: Attribute | None = None
        label = ""
        tracked: bool | None = None
        for attribute in attributes(self._html, tag):
            if attribute.name == "href":
                href = href or attribute  # the first of two wins
            elif attribute.name == "alt" and tag.name == "area":
                label = label or decode_attribute(attribute.value)
            elif attribute.name == "data-track" and tracked is None:
                tracked = decode_attribute(attribute.value).strip().lower() != "off"
                if not tracked:
                    self.splices.append(self._removal(attribute))
        if href is None:
            return
        self._refuse_missing_quote(href)
        destination = web_destination(decode_attribute(href.value))
        if destination is None or tracked is False or not self._track_clicks:
            return
        self._accept(destination)
        self._open = (destination, href)
        self._label, self._label_length = ([label], len(label))
        if tag.name == "area":
            self._close()

    def _removal(self, attribute: Attribute) -> Splice:
        """Take the blanks in front along, unless that would join the attribute's neighbours."""
        follower = self._html[attribute.end]
        start = attribute.before if follower in "\t\n\f\r >" else attribute.start
        return Splice(start, attribute.end, ())

    def _refuse_missing_quote(self, href: Attribute) -> None:
        """`href="https://x.example>Go</a><p class="x">` closes by accident, and the link leads nowhere.

        Told by markup inside a web URL, or by `>` inside and no blank behind. Scripts may hold markup on purpose.
        """
        if not href.quoted or (">" not in href.value and "<" not in href.value):
            return
        web = href.value.lstrip()[:4].lower() == "http"
        torn = self._html[href.end] not in "\t\n\f\r />"
        markup = _MARKUP_IN_URL.search(href.value) is not None
        if (markup and (web or torn)) or (web and torn and ">" in href.value):
            raise UnparsableHtml("a link's quote is missing", self._html, href.value_start)

    def _read_label(self, token: Token, previous_end: int) -> None:
        room = 4 * LABEL_LENGTH - self._label_length
        if room <= 0:
            return
        text = html_text.unescape(self._html[previous_end : min(token.start, previous_end + room)])
        if token.name == "img":
            text += " " + next(
                (decode_attribute(a.value) for a in attributes(self._html, token) if a.name == "alt"), ""
            )
        self._label.append(text)
        self._label_length += len(text)

    def _close(self) -> None:
        if self._open is None:
            return
        destination, href = self._open
        self._open = None
        slot = self._table.add(destination, "".join(self._label))
        parts = (slot,) if href.quoted else ('"', slot, '"')
        self.splices.append(Splice(href.value_start, href.value_end, parts))
