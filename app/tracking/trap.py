"""The trap: a link in html that nobody sees, so that whoever follows it is a machine. `rewrite_html` shows every token
to it; where it leads is `LinkTable.add_trap`."""

from __future__ import annotations

from app.tracking.html_scan import Token, attributes, decode_attribute
from app.tracking.template import Splice
from app.tracking.urls import lies_under

TRAP_SLOT = -1
"""In templates: the last slot of the message. Which number that is, is known once every part is planned."""

_BEFORE = '<a href="'
# One element, hidden by itself: in a hidden container it would be thrown out of it wherever an author's <a> was never
# closed. Nothing inside: a mail program that strips styles still shows nothing, and nothing can be copied or read out.
# Twice `display`, because Word (Outlook) drops a declaration with `!important`, which author's `a{…!important}` needs;
# `mso-hide` is Word's own. `tabindex` and `aria-hidden` are for programs that strip styles.
_AFTER = '" aria-hidden="true" tabindex="-1" style="display:none;display:none!important;mso-hide:all"></a>'
_PATH = "/c/"


class Trap:
    """Whether one document can take a trap, learnt token by token.

    Not when it has one already: then it is the output of an earlier rendering. Not inside an anchor that was never
    closed either: a second one would end it, and change the author's document.
    """

    def __init__(self, html: str, own_hosts: frozenset[str]) -> None:
        self._html = html
        self._own_hosts = own_hosts
        self._may_be_there = _PATH in html
        self._there = False
        self._in_anchor = False
        self._in_anchor_at_body_end: bool | None = None

    def see(self, token: Token) -> None:
        if token.name == "a":
            self._in_anchor = True
            self._there = self._there or (self._may_be_there and self._is_ours(token))
        elif token.name == "/a":
            self._in_anchor = False
        elif token.name == "/body":
            self._in_anchor_at_body_end = self._in_anchor

    def splices(self, at: int) -> list[Splice]:
        """The trap, once every token was seen.

        Args:
            at: before the last `</body>`, without one at the end of the document.
        """
        at_end = self._in_anchor_at_body_end
        if self._there or (self._in_anchor if at_end is None else at_end):
            return []
        return [Splice(at, at, (_BEFORE, TRAP_SLOT, _AFTER))]

    def _is_ours(self, tag: Token) -> bool:
        found: dict[str, str] = {}
        for attribute in attributes(self._html, tag):
            found.setdefault(attribute.name, attribute.value)
        hidden = (found.get("aria-hidden"), found.get("tabindex")) == ("true", "-1")
        return hidden and lies_under(decode_attribute(found.get("href", "")), _PATH, self._own_hosts)
