"""The links of an HTML document: which attributes they are in, what they are called, and what gives way to a slot.

`rewrite_html` shows every token to `HtmlLinks`; what happens to a URL is decided in `link_rules`.
"""

from __future__ import annotations

import html as html_text
import re
from bisect import bisect_left
from typing import NamedTuple

from app.models.block import Slot
from app.tracking.findings import Findings
from app.tracking.html_scan import COMMENT, Attribute, Token, UnparsableHtml, attributes, decode_attribute, tokens
from app.tracking.link_reasons import Action, Caution, Reason
from app.tracking.link_rules import Decision, LinkRules, decide
from app.tracking.link_table import LABEL_LENGTH, LinkTable
from app.tracking.placeholders import is_unsubscribe, unsubscribe_splices
from app.tracking.template import Splice

_MARKUP_IN_URL = re.compile(r"<[A-Za-z/!]")
# Outlook's own markup: a comment for everybody else.
_CONDITIONAL = re.compile(r"<!--\[if [^\]<>]{1,100}\]>", re.IGNORECASE)
_CONDITIONAL_END = "<![endif]-->"
_SHAPE = re.compile("<v:", re.IGNORECASE)
_OPTED_OUT = Decision(Action.LEFT, Reason.OPT_OUT)


class _Link(NamedTuple):
    """A link that will be tracked, not in the table yet."""

    decision: Decision
    url: str
    href: Attribute


class _Tag(NamedTuple):
    """What matters of an `<a>` or `<area>`."""

    href: Attribute | None
    drawn: Attribute | None
    """`xlink:href`"""
    opt_out: Attribute | None
    label: str


class _Place(NamedTuple):
    """An anchor that a shape may be the twin of."""

    at: int
    slot: int | None
    """None: its author does not want it tracked."""


class HtmlLinks:
    """Turns tags into splices, links and findings. An anchor is added when it closes, because its text is its label."""

    def __init__(self, html: str, table: LinkTable, rules: LinkRules, findings: Findings) -> None:
        self.splices: list[Splice] = []
        self._html = html
        self._table = table
        self._rules = rules
        self._findings = findings
        self._base = False
        self._open: _Link | None = None
        self._label: list[str] = []
        self._label_length = 0
        self._anchors: dict[str, list[_Place]] = {}
        self._shapes: list[_Link] = []

    def see(self, token: Token, previous_end: int) -> None:
        name = token.name
        if self._open is not None:
            self._read_label(token, previous_end)
            if name in ("a", "/a", "area"):
                self._close()
        if name in ("a", "area"):
            self._tag(token)
        elif name == "base":
            self._base = self._base or any(attribute.name == "href" for attribute in attributes(self._html, token))
        elif self._rules.vml:
            if name == COMMENT:
                self._conditional(token)
            elif name.startswith("v:"):
                self._shape(self._html, token, 0)

    def finish(self, end: int, previous_end: int) -> None:
        """The document is over; an anchor may still be open."""
        if self._open is not None:
            self._read_label(Token("", end, end), previous_end)
            self._close()
        for shape in self._shapes:
            slot = self._slot_of_twin(shape)
            if slot is None:
                self._findings.add(_OPTED_OUT, shape.url, shape.href.start)
            else:
                self._add(shape, slot)

    def _tag(self, tag: Token) -> None:
        found = self._read(tag)
        if found.opt_out is not None:
            self.splices.append(self._removal(found.opt_out))
        href = found.href
        if href is None:
            if found.drawn is not None:
                left = Decision(Action.LEFT, Reason.SVG_LINK, cautions=(Caution.SVG_LINK,))
                self._findings.add(left, decode_attribute(found.drawn.value), found.drawn.start)
            return
        self._refuse_missing_quote(href)
        url = decode_attribute(href.value)
        decision = decide(url, self._rules, opted_out=found.opt_out is not None)
        if self._rules.vml and found.opt_out is not None:
            self._anchors.setdefault(decide(url, self._rules).destination, []).append(_Place(href.start, None))
        if decision.action is Action.TRACKED:
            self._open = _Link(decision, url, href)
            self._label, self._label_length = ([found.label], len(found.label))
            if tag.name == "area":
                self._close()
            return
        if self._base and Caution.RELATIVE_URL in decision.cautions:
            decision = decision._replace(cautions=(Caution.BASE_HREF,))
        self._findings.add(decision, url, href.start)
        if decision.reason is Reason.UNSUBSCRIBE:
            self._unsubscribe(url, href)

    def _read(self, tag: Token) -> _Tag:
        """What matters of a tag's attributes. The first of two with one name wins."""
        href = drawn = opt_out = None
        label = ""
        said = False
        for attribute in attributes(self._html, tag):
            name = attribute.name
            if name == "href":
                href = href or attribute
            elif name == "alt" and tag.name == "area":
                label = label or decode_attribute(attribute.value)
            elif name == "data-track" and not said:
                said = True
                opt_out = attribute if _is_off(attribute) else None
            elif name == "xlink:href":
                drawn = drawn or attribute
        return _Tag(href, drawn, opt_out, label)

    def _unsubscribe(self, url: str, href: Attribute) -> None:
        """The placeholder in a spelling that is only seen once character references are decoded (`&#123;&#123;…`)."""
        if is_unsubscribe(url) and not unsubscribe_splices(href.value):
            self.splices.append(Splice(href.value_start, href.value_end, _quoted(int(Slot.UNSUBSCRIBE), href)))

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
        link, self._open = self._open, None
        decision = link.decision
        slot = self._table.add(decision.destination, "".join(self._label), personal=decision.personal)
        if self._rules.vml:
            self._anchors.setdefault(decision.destination, []).append(_Place(link.href.start, slot))
        self._add(link, slot)

    def _add(self, link: _Link, slot: int) -> None:
        self._findings.add(link.decision, link.url, link.href.start, slot)
        self.splices.append(Splice(link.href.value_start, link.href.value_end, _quoted(slot, link.href)))

    # Outlook's shapes: `<v:roundrect href="…">` beside the `<a>` that everybody else sees.

    def _conditional(self, comment: Token) -> None:
        """Shapes in a conditional comment. One that cannot be read stays as it is, like any other comment."""
        opening = _CONDITIONAL.match(self._html, comment.start, comment.end)
        if opening is None or _SHAPE.search(self._html, opening.end(), comment.end) is None:
            return
        end = comment.end - len(_CONDITIONAL_END)
        if end < opening.end() or self._html[end : comment.end].lower() != _CONDITIONAL_END:
            return
        inside = self._html[opening.end() : end]
        known = len(self._shapes)
        try:
            for tag in tokens(inside):
                if tag.name.startswith("v:"):
                    self._shape(inside, tag, opening.end())
        except UnparsableHtml:
            del self._shapes[known:]

    def _shape(self, html: str, tag: Token, offset: int) -> None:
        """
        Args:
            offset: where `html` begins in the document.
        """
        href = opt_out = None
        for attribute in attributes(html, tag):
            if attribute.name == "href":
                href = href or attribute
            elif attribute.name == "data-track":
                opt_out = opt_out or attribute
        if href is None:
            return
        url = decode_attribute(href.value)
        # The attribute stays here: a comment is kept byte for byte but for the links in it.
        decision = decide(url, self._rules, opted_out=opt_out is not None and _is_off(opt_out))
        href = href._replace(
            start=href.start + offset, value_start=href.value_start + offset, value_end=href.value_end + offset
        )
        if decision.action is Action.TRACKED:
            self._shapes.append(_Link(decision, url, href))
        else:
            self._findings.add(decision, url, href.start)

    def _slot_of_twin(self, shape: _Link) -> int | None:
        """That of the next anchor with the same destination, else of the one before it, else a link of its own."""
        decision = shape.decision
        twins = self._anchors.get(decision.destination)
        if not twins:
            return self._table.shared(decision.destination, personal=decision.personal)
        following = bisect_left(twins, (shape.href.start,))
        return twins[min(following, len(twins) - 1)].slot


def _quoted(slot: int, href: Attribute) -> tuple[str | int, ...]:
    return (slot,) if href.quoted else ('"', slot, '"')


def _is_off(attribute: Attribute) -> bool:
    return decode_attribute(attribute.value).strip().lower() == "off"
