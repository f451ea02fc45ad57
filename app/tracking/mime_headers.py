"""Header sections of a MIME message: where each field stands, byte by byte, and what the content fields say.

`mime_parts` walks the message with it. Fields are found here, their values are read by the standard library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, NamedTuple

from app.tracking.mime_notes import LeftAlone, MimeNote

# RFC 5322 2.2: printable ASCII without the colon, then the value and its folded lines.
_FIELD = re.compile(rb"([!-9;-~]++):([^\n]*+(?:\n[ \t][^\n]*+)*+)(?:\n|\Z)")
_MBOX_FROM = re.compile(rb"From [^\n]*+\n")
_MEDIA_TYPE = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+/[!#$%&'*+\-.^_`|~0-9a-z]+")
_COMMENT_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|\\.|[()]|[^"\\()]++|\\', re.DOTALL)

_INTERESTING = frozenset(
    b"""content-type content-transfer-encoding content-disposition content-md5 content-length lines mime-version
    list-unsubscribe list-unsubscribe-post dkim-signature domainkey-signature arc-message-signature arc-seal""".split()
)
MAX_INTERESTING = 200  # fields kept of one section; forwarders add a few signatures, nobody adds hundreds
MAX_VALUE = 4000  # characters; the standard library reads parameters in quadratic time


class Field(NamedTuple):
    """One field that matters here; `raw[start:end]` is all of it with its line break."""

    name: str
    start: int
    value_start: int
    end: int


@dataclass(frozen=True, slots=True)
class HeaderSection:
    """The fields of a message or part.

    Args:
        end: where the fields end and an empty line, or the whole entity, follows.
        body: where the body starts; None without the empty line.
    """

    start: int
    end: int
    body: int | None
    fields: tuple[Field, ...]

    def all(self, *names: str) -> list[Field]:
        """Every field of these (lower case) names, in order."""
        return [found for found in self.fields if found.name in names]


def read_section(raw: bytes, start: int, end: int, *, top: bool) -> HeaderSection:
    """Find the fields of the entity `raw[start:end]`.

    Args:
        top: the message itself, where an mbox `From ` line may stand first.

    Raises:
        LeftAlone: a line is neither field nor continuation, or has a bare CR, which some readers take for a line end.
    """
    at = start
    if top and (mbox := _MBOX_FROM.match(raw, start, end)):
        at = mbox.end()
    fields: list[Field] = []
    body = None
    while at < end:
        found = _FIELD.match(raw, at, end)
        if found is None:
            body = at + (2 if raw.startswith(b"\r\n", at, end) else 1)
            if raw[body - 1 : body] != b"\n" or body > end:
                raise LeftAlone(MimeNote.HEADER_BROKEN, "a header line is not a field")
            break
        name = found[1].lower()
        if name in _INTERESTING:
            fields.append(Field(name.decode("ascii"), at, found.start(2), found.end()))
            if len(fields) > MAX_INTERESTING:
                raise LeftAlone(MimeNote.HEADER_BROKEN, "the same header fields again and again")
        at = found.end()
    if raw.count(b"\r", start, at) != raw.count(b"\r\n", start, at):
        raise LeftAlone(MimeNote.HEADER_BROKEN, "a bare CR in the header")
    if top and body is None and raw[-1:] != b"\n":
        raise LeftAlone(MimeNote.HEADER_BROKEN, "the header is cut off")
    return HeaderSection(start, at, body, tuple(fields))


@dataclass(frozen=True, slots=True)
class Content:
    """What a section says about its body. Empty `media`: a Content-Type nobody can read."""

    media: str
    params: dict[str, str] = field(default_factory=dict)
    encoding: str = "7bit"
    attachment: bool = False


def read_content(raw: bytes, section: HeaderSection, default: str = "text/plain") -> Content:
    """The content fields, read by the standard library.

    Args:
        default: the media type without a Content-Type field (RFC 2045 5.2).

    Raises:
        LeftAlone: one of them is there twice, too long, or has parameters that cannot be read.
    """
    kind = _single(raw, section, "content-type")
    encoding = _single(raw, section, "content-transfer-encoding")
    disposition = _single(raw, section, "content-disposition")
    media, params = (default, {}) if kind is None else _parameterised(kind)
    attachment = "name" in params
    if disposition is not None:
        how, how_params = _parameterised(disposition)
        # RFC 2183 2.8: what one does not know is an attachment.
        attachment = attachment or how != "inline" or "filename" in how_params
    if kind is not None and not _MEDIA_TYPE.fullmatch(media):
        media = ""
    return Content(media, params, "7bit" if encoding is None else encoding.strip().lower(), attachment)


def _single(raw: bytes, section: HeaderSection, name: str) -> str | None:
    """The unfolded value of a field, without comments."""
    found = section.all(name)
    if not found:
        return None
    if len(found) > 1:
        raise LeftAlone(MimeNote.PART_UNREADABLE, f"more than one {name}")
    value = raw[found[0].value_start : found[0].end]
    if len(value) > MAX_VALUE:
        raise LeftAlone(MimeNote.PART_UNREADABLE, f"{name} is too long")
    text = value.replace(b"\r", b"").replace(b"\n", b"").decode("latin-1")
    return _without_comments(text).strip()


def _parameterised(value: str) -> tuple[str, dict[str, str]]:
    """`text/html; charset=utf-8` and its like, RFC 2231 included; the first of two parameters wins."""
    message = Message()
    message["content-type"] = value
    try:
        read: list[tuple[str, Any]] = message.get_params([("", "")])
    except (ValueError, TypeError, IndexError, LookupError) as error:  # hostile RFC 2231 numbering, for example
        raise LeftAlone(MimeNote.PART_UNREADABLE, "parameters that cannot be read") from error
    params: dict[str, str] = {}
    for name, text in read[1:]:
        # RFC 2231 makes it charset, language and text.
        params.setdefault(name.lower(), text[2] if isinstance(text, tuple) else text)
    return read[0][0].strip().lower(), params


def _without_comments(value: str) -> str:
    """RFC 2045 5.1 writes `charset=us-ascii (Plain text)`. A bracket inside a word is somebody's unquoted value."""
    if "(" not in value:
        return value
    kept: list[str] = []
    depth = 0
    for piece in _COMMENT_TOKEN.findall(value):
        if piece == "(" and (depth or not kept or kept[-1][-1] in " \t;"):
            depth += 1
        elif piece == ")" and depth:
            depth -= 1
        elif not depth:
            kept.append(piece)
    return "".join(kept)
