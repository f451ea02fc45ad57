"""Open pixels in HTML: where they go, and whether one is there already. `rewrite_html` shows every token to it."""

from __future__ import annotations

from app.models.block import Slot
from app.tracking.html_scan import DOCTYPE, RAW_TEXT, Token, attributes, decode_attribute
from app.tracking.template import Splice
from app.tracking.urls import lies_under

_BEFORE = '<img src="'
# Measured in Chromium on 31 letters: no box, line, scroll height or screenshot differs. Out of the flow and pinned, or
# a pixel at the end makes the page longer; float and negative margins for mail programs that strip `position`;
# `!important` against `img{width:100%!important}` for telephones, which would make it a square as wide as the screen.
# Word (Outlook) drops such declarations: there the attributes count. Never `display:none`: some programs then load
# nothing.
_AFTER = (
    '" width="1" height="1" alt="" aria-hidden="true"'
    ' style="position:absolute;top:0;left:0;float:left;width:1px!important;height:1px!important;'
    "min-width:0!important;max-width:1px!important;border:0!important;margin:0 -1px -1px 0!important;"
    'padding:0!important">'
)
_PATH = "/o/"
# Start and end tags after which a document is still before its first visible content.
_HEAD_TAGS = frozenset(
    f"{slash}{name}"
    for name in ("html", "head", "title", "meta", "link", "base", "basefont", "bgsound", "style", "script")
    for slash in ("", "/")
)


class Pixels:
    """Where the pixels of one document go, learnt token by token.

    A document that has a pixel of ours gets no other, neither in the header nor in the footer: it is the output of an
    earlier rendering, or a retry. Ours is an `<img>` whose `src` lies under `/o/` on one of the brand's own hosts, with
    any port.
    """

    def __init__(self, html: str, own_hosts: frozenset[str]) -> None:
        self._html = html
        self._own_hosts = own_hosts
        self._may_be_there = _PATH in html and bool(own_hosts)
        self._there = False
        self._header = 1 if html.startswith("\ufeff") else 0  # a byte order mark has to stay first
        self._footer: int | None = None
        self._before_content = True
        self._seen_body = False

    @property
    def header(self) -> int:
        """Where the pixel of the header would go now."""
        return self._header

    @property
    def footer(self) -> int:
        """Where the pixel of the footer goes, once every token was seen."""
        return len(self._html) if self._footer is None else self._footer

    def see(self, token: Token, previous_end: int) -> None:
        name = token.name
        if name == "img":
            self._before_content = False
            if self._may_be_there:
                self._there = self._there or self._is_ours(token)
        elif name == "body" and not self._seen_body:
            self._seen_body = True
            self._before_content = False
            self._header = token.end
        elif name == "/body":
            self._footer = token.start
        elif name == "/head" and not self._seen_body:
            self._header = token.end
        elif self._before_content:
            self._advance(token, previous_end)

    def splices(self, *, header: bool, footer: bool) -> list[Splice]:
        """The pixels, once every token was seen."""
        if self._there:
            return []
        wanted = [(header, self._header, Slot.PIXEL_HEADER), (footer, self.footer, Slot.PIXEL_FOOTER)]
        return [Splice(at, at, (_BEFORE, int(slot), _AFTER)) for want, at, slot in wanted if want]

    def _is_ours(self, tag: Token) -> bool:
        source = next((a.value for a in attributes(self._html, tag) if a.name == "src"), "")
        return lies_under(decode_attribute(source), _PATH, self._own_hosts)

    def _advance(self, token: Token, previous_end: int) -> None:
        """Comments neither end the head nor move the pixel: one may open a region that only some clients show."""
        name = token.name
        if name == RAW_TEXT:
            return
        if previous_end != token.start and not self._html[previous_end : token.start].isspace():
            self._before_content = False
        elif name in _HEAD_TAGS or name == DOCTYPE:
            self._header = token.end
        elif name[0] != "!":
            self._before_content = False
