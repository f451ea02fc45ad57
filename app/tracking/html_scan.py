"""Where the tags and attributes of an HTML document are, read as the HTML standard's tokenizer reads them.

One forward scan, no tree, nothing copied: `rewrite_html` uses the positions to splice. Every pattern is unambiguous
(possessive, alternatives told apart by their first character), so hostile input costs linear time.

Rules: HTML standard, section 13.2.5 "Tokenization", scripting off as in mail (`noscript` is ordinary markup). Where we
stop instead of guessing: see `UnparsableHtml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.entities import html5
from typing import NamedTuple

from app.errors import InvalidRequest

COMMENT = "!"
"""Name of the tokens for comments, CDATA sections, `<?…>`, `<![if …]>` and other declarations."""
DOCTYPE = "!doctype"
RAW_TEXT = "!raw"
"""Name of the token for what stands inside script, style, textarea, title, …: text whatever it looks like."""

_S = r"\t\n\f\r "
_NAME = rf"[^{_S}/>][^{_S}/>=]*+"  # a leading "=" belongs to the name
_UNQUOTED = rf"""[^{_S}>"'][^{_S}>]*+"""
# The look-ahead makes "a name without a value" the only other reading, so there is nothing to backtrack into.
_ONE = rf"""[{_S}/]*+{_NAME}(?:[{_S}]*+=[{_S}]*+(?:"[^"]*+"|'[^']*+'|{_UNQUOTED}|(?=>))|(?![{_S}]*+=))"""
# Ordinary tags match whole here; longer and broken ones take the second branch and `_end_of_tag`.
_MARKUP = re.compile(rf"<(?:(/?[A-Za-z][^{_S}/>]*+)(?:{_ONE}){{0,32}}[{_S}/]*+>|(?=[A-Za-z!?]|/[^>]))")
_TAG_NAME = re.compile(rf"</?[A-Za-z][^{_S}/>]*+")
_MANY = re.compile(rf"(?:{_ONE}){{1,64}}")
_CLOSE = re.compile(rf"[{_S}/]*+(>?)")
_ATTRIBUTE = re.compile(
    rf"""[{_S}/]*+({_NAME})(?:[{_S}]*+=[{_S}]*+(?:"([^"]*+)"|'([^']*+)'|({_UNQUOTED})|(?=>))|(?![{_S}]*+=))"""
)

_COMMENT_ABRUPT = re.compile("<!---?>")
_COMMENT_END = re.compile("--!?>")

_RAW_ELEMENTS = ("iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp")
_RAW_END = {
    name: re.compile(rf"</{name}(?=[{_S}/>])", re.ASCII | re.IGNORECASE) for name in _RAW_ELEMENTS if name != "script"
}
_SCRIPT_STEP = re.compile(rf"<!(?=--)|-->|</?script(?=[{_S}/>])", re.ASCII | re.IGNORECASE)
_FOREIGN = {"svg": 1, "math": 1, "/svg": -1, "/math": -1}

_REFERENCE = re.compile(r"&(?:#(?:[xX]([0-9A-Fa-f]++)|([0-9]++));?|([A-Za-z][A-Za-z0-9]*+)(;|(?!=)))")


class UnparsableHtml(InvalidRequest):
    """The document has no sensible reading, so nothing in it is rewritten. Exactly these cases:

    - a tag, an attribute's quote, a comment, a CDATA section or a declaration that never ends;
    - a script, style, textarea, title, xmp, iframe, noembed or noframes element that never ends, or `<plaintext>`:
      all the rest would be text;
    - a link whose quote is missing, so that markup has become part of its URL (`rewrite_html` sees that).

    Everything else has one reading by the standard and is fine: unclosed or crossed elements, stray `<` and `&`,
    unknown tags, duplicate attributes.
    """

    def __init__(self, reason: str, html: str, position: int) -> None:
        self.reason = reason
        self.line = html.count("\n", 0, position) + 1
        """From 1; so is the column, in characters."""
        self.column = position - html.rfind("\n", 0, position)
        super().__init__(
            f"the html does not parse: {reason} (line {self.line}, column {self.column})",
            code="unparsable_html",
            status=422,
        )


class Token(NamedTuple):
    """A piece of markup, `html[start:end]`. What lies between two tokens is text."""

    name: str
    """Lower-case: `a` for a start tag, `/a` for an end tag, or one of the names above that begin with `!`."""
    start: int
    end: int


class Attribute(NamedTuple):
    """One attribute of a start tag: `html[start:end]`, its value raw (`decode_attribute` reads it)."""

    name: str
    """Lower-case."""
    before: int
    """Where the blanks (or `/`) before the name begin."""
    start: int
    end: int
    value: str
    """Empty when there is none."""
    value_start: int
    value_end: int
    quoted: bool


def tokens(html: str) -> Iterator[Token]:
    """Every piece of markup, in order.

    Raises:
        UnparsableHtml: see there.
    """
    at = 0
    foreign = 0  # open svg/math elements: only there does "/>" close a <style/> or <title/>
    while opening := _MARKUP.search(html, at):
        start = opening.start()
        name, at = opening[1], opening.end()
        if name is None:
            name, at = _other_markup(html, start)
        name = ascii_lower(name)
        yield Token(name, start, at)
        if name in _FOREIGN:
            if html[at - 2] != "/":
                foreign = max(0, foreign + _FOREIGN[name])
        elif name in _RAW_ELEMENTS and not (foreign and html[at - 2] == "/"):
            end = _end_of_raw_text(html, name, start, at)
            yield Token(RAW_TEXT, at, end)
            at = end
        elif name == "plaintext":
            raise UnparsableHtml("<plaintext> makes text of all the rest", html, start)


def attributes(html: str, tag: Token) -> Iterator[Attribute]:
    """The attributes of a start tag, in order, duplicates included (the standard keeps the first)."""
    at = tag.start + 1 + len(tag.name)
    while found := _ATTRIBUTE.match(html, at, tag.end):
        name_start, name_end = found.span(1)
        group = found.lastindex or 1
        start, end = found.span(group) if group > 1 else (found.end(), found.end())
        yield Attribute(
            name=ascii_lower(html[name_start:name_end]),
            before=at,
            start=name_start,
            end=found.end(),
            value=html[start:end],
            value_start=start,
            value_end=end,
            quoted=group in (2, 3),
        )
        at = found.end()


def decode_attribute(value: str) -> str:
    """A raw attribute value with its character references decoded, exactly once.

    Not `html.unescape`: that is the rule for text. In an attribute a name without its semicolon counts only when
    neither `=` nor a letter or digit follows, so `?a=1&copy=2` keeps its `&copy` (13.2.5.73).
    """
    return _REFERENCE.sub(_decoded, value) if "&" in value else value


def ascii_lower(name: str) -> str:
    """Lower case for names that are ASCII; others are never ours and stay (`K`, the Kelvin sign, is not a k)."""
    return name.lower() if name.isascii() else name


def _other_markup(html: str, start: int) -> tuple[str, int]:
    """Name and end of what the fast pattern did not take: declarations, very long tags, broken documents."""
    tag = _TAG_NAME.match(html, start)
    if tag:
        return html[start + 1 : tag.end()], _end_of_tag(html, start, tag.end())
    if html.startswith("<!--", start):
        abrupt = _COMMENT_ABRUPT.match(html, start)
        closing = abrupt or _COMMENT_END.search(html, start + 4)
        if closing is None:
            raise UnparsableHtml("a comment never ends", html, start)
        return COMMENT, closing.end()
    if html.startswith("<![CDATA[", start):
        end = html.find("]]>", start)
        if end < 0:
            raise UnparsableHtml("a CDATA section never ends", html, start)
        return COMMENT, end + 3
    end = html.find(">", start)
    if end < 0:
        raise UnparsableHtml("a declaration never ends", html, start)
    return DOCTYPE if ascii_lower(html[start + 1 : start + 9]) == DOCTYPE else COMMENT, end + 1


def _end_of_tag(html: str, start: int, at: int) -> int:
    while more := _MANY.match(html, at):
        at = more.end()
    closing = _CLOSE.match(html, at)
    if closing and closing[1]:
        return closing.end()
    if closing and closing.end() == len(html):
        raise UnparsableHtml("a tag never ends", html, start)
    raise UnparsableHtml("an attribute's value never ends", html, closing.end() if closing else at)


def _end_of_raw_text(html: str, name: str, start: int, at: int) -> int:
    closing = _end_of_script(html, at) if name == "script" else _RAW_END[name].search(html, at)
    if closing is None:
        raise UnparsableHtml(f"a {name} element never ends", html, start)
    return closing.start()


def _end_of_script(html: str, at: int) -> re.Match[str] | None:
    """`<!-- <script>` hides the next `</script>` (13.2.5.17 and following, "script data double escaped")."""
    escaped = doubled = False
    for step in _SCRIPT_STEP.finditer(html, at):
        text = step[0]
        if text == "-->":
            escaped = doubled = False
        elif text == "<!":
            escaped = True
        elif text[1] != "/":
            doubled = escaped
        elif doubled:
            doubled = False
        else:
            return step
    return None


def _decoded(reference: re.Match[str]) -> str:
    hexadecimal, decimal, name, semicolon = reference.groups()
    if name is not None:
        return html5.get(name + semicolon, reference[0])
    digits, base = (hexadecimal, 16) if hexadecimal is not None else (decimal, 10)
    digits = digits.lstrip("0")
    # Seven digits reach past U+10FFFF; int() of a megabyte of digits would be quadratic.
    code = int(digits or "0", base) if len(digits) <= 7 else 0
    if code == 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return _WINDOWS_1252.get(code, chr(code))


# "&#150;" is a dash for the whole web: numbers 0x80-0x9F mean Windows-1252 (13.2.5.84), five of them nothing there.
_WINDOWS_1252 = {
    code: bytes([code]).decode("cp1252") for code in range(0x80, 0xA0) if code not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}
