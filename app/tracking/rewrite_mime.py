"""Rewriting whole MIME messages: `plan_mime` finds the bodies and asks for their templates, `MimeTemplate` renders.

Everything outside rewritten bodies, their Content-Transfer-Encoding and our own header fields stays byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from app.tracking.mime_body import MimeBody, plan_body
from app.tracking.mime_encodings import MAX_LINE
from app.tracking.mime_headers import HeaderSection, read_section
from app.tracking.mime_notes import LeftAlone, MimeNote, Notes
from app.tracking.mime_parts import MAX_BYTES, BodyPart, PartKind, find_bodies, named
from app.tracking.template import Template

OWN_FIELDS = ("list-unsubscribe", "list-unsubscribe-post")
_SIGNATURES = ("dkim-signature", "domainkey-signature", "arc-message-signature", "arc-seal")
# They describe the body as it was: a length, lines or a checksum (RFC 1864) that are wrong now.
_STALE_AT_THE_TOP = ("content-length", "lines", "content-md5")
_STALE = ("content-length", "content-md5")
_HEADER_VALUE = re.compile(r"[ -~]+")


@dataclass(frozen=True, slots=True)
class _OwnField:
    """A field of the caller's that gives way when a header of its name is rendered."""

    name: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class _Encoding:
    """The Content-Transfer-Encoding field of a body: `kept` (perhaps nothing) or, when that does not fit, a new one."""

    body: MimeBody
    kept: bytes
    before_new: bytes = b""


class _OurFields(Enum):
    """Where our own fields go."""

    HERE = "here"


_Piece = bytes | MimeBody | _OwnField | _Encoding | _OurFields


class MimeTemplate:
    """A message analysed once, to be rendered for each recipient."""

    def __init__(self, pieces: Sequence[_Piece], eol: bytes) -> None:
        self._pieces = tuple(pieces)
        self._eol = eol
        self._bodies = [piece for piece in pieces if isinstance(piece, MimeBody)]

    @property
    def slots(self) -> frozenset[int]:
        """Every slot that occurs in one of the bodies."""
        return frozenset().union(*(body.slots for body in self._bodies))

    @property
    def holes(self) -> int:
        """How many URLs one rendering takes: slots, as often as they stand there."""
        return sum(body.holes for body in self._bodies)

    @property
    def accepts_headers(self) -> bool:
        """False when the header section cannot be read; `headers` are then ignored."""
        return _OurFields.HERE in self._pieces

    def render(self, url_of: Sequence[str] | Mapping[int, str], headers: Mapping[str, str]) -> bytes:
        """The message for one recipient.

        Args:
            url_of: the URL of each slot in `slots`.
            headers: any of List-Unsubscribe and List-Unsubscribe-Post. Each is in the result exactly once and
                replaces the message's own; with none the header section stays as it is.

        Raises:
            LookupError: a slot has no URL.
            ValueError: a header that is not ours, or a value that cannot stand in a line (CR, LF, not ASCII, too
                long); a URL that cannot be written in its part's charset (ASCII always can).
        """
        own = _own_lines(headers, self._eol)
        names = {name.lower() for name in headers}
        rendered = {body: body.render(url_of) for body in self._bodies}
        out: list[bytes] = []
        for piece in self._pieces:
            if isinstance(piece, bytes):
                out.append(piece)
            elif isinstance(piece, MimeBody):
                out.append(rendered[piece][0])
            elif isinstance(piece, _OwnField):
                out.append(b"" if piece.name in names else piece.raw)
            elif isinstance(piece, _Encoding):
                encoding = rendered[piece.body][1]
                new = b"Content-Transfer-Encoding: " + encoding.encode("ascii") + self._eol
                out.append(piece.kept if encoding == piece.body.encoding else piece.before_new + new)
            else:
                out.append(own)
        return b"".join(out)


def plan_mime(raw: bytes, *, plan_part: Callable[[PartKind, str], Template | None], notes: Notes) -> MimeTemplate:
    """Analyse one message.

    Args:
        raw: the message as it would be sent, with CRLF or LF line ends.
        plan_part: gets the text of every body that may be rewritten, all html bodies first, because text bodies
            share their links; None leaves the body as it is. What it raises comes through.
        notes: called with a `MimeNote` and a detail without content for everything that stays as it is though it
            might have links, and for signatures that will not survive.

    A message that cannot be read with certainty is rendered as it is; nothing in it makes this function raise.
    """
    eol = b"\r\n" if raw[: raw.find(b"\n") + 1].endswith(b"\r\n") else b"\n"
    if len(raw) > MAX_BYTES:
        notes(MimeNote.MESSAGE_TOO_LARGE, f"more than {MAX_BYTES} bytes")
        return MimeTemplate((raw,), eol)
    try:
        top = read_section(raw, 0, len(raw), top=True)
    except LeftAlone as error:
        notes(error.note, error.detail)
        return MimeTemplate((raw,), eol)
    try:
        parts = find_bodies(raw, top, notes)
    except LeftAlone as error:
        notes(error.note, error.detail)
        parts = []
    planned = _plan_bodies(raw, parts, plan_part, notes)
    if top.all(*_SIGNATURES) and (planned or top.all(*OWN_FIELDS)):
        notes(MimeNote.DKIM_SIGNATURE_WILL_BREAK, "the mailer has to sign after rewriting")
    return MimeTemplate(list(_pieces(raw, top, planned, eol)), eol)


def _plan_bodies(
    raw: bytes, parts: list[BodyPart], plan_part: Callable[[PartKind, str], Template | None], notes: Notes
) -> list[tuple[BodyPart, MimeBody]]:
    """The bodies that change, in the message's order."""
    planned = []
    for part in sorted(parts, key=lambda part: part.kind is not PartKind.HTML):
        try:
            body = plan_body(raw, part, plan_part)
        except LeftAlone as error:
            notes(error.note, named(part.path, error.detail))
            continue
        if body is not None:
            planned.append((part, body))
    return sorted(planned, key=lambda pair: pair[0].start)


def _pieces(raw: bytes, top: HeaderSection, planned: list[tuple[BodyPart, MimeBody]], eol: bytes) -> Iterator[_Piece]:
    """The whole message: what is copied, what is rendered, and where our own fields go."""
    bodies = {part.section: body for part, body in planned}
    yield raw[: top.start]
    stale = _STALE_AT_THE_TOP if planned else ()
    yield from _fields(raw, top, bodies.get(top), stale=stale, own=OWN_FIELDS, mime_version=b"MIME-Version: 1.0" + eol)
    yield _OurFields.HERE
    at = top.end
    for part, body in planned:
        if part.section is not top:
            yield raw[at : part.section.start]
            yield from _fields(raw, part.section, body, stale=_STALE)
            at = part.section.end
        yield raw[at : part.start]
        yield body
        at = part.end
    yield raw[at:]


def _fields(
    raw: bytes,
    section: HeaderSection,
    body: MimeBody | None,
    *,
    stale: tuple[str, ...],
    own: tuple[str, ...] = (),
    mime_version: bytes = b"",
) -> Iterator[_Piece]:
    """A header section, without its stale fields.

    Args:
        body: the body that it belongs to, if that is rewritten.
        mime_version: a new Content-Transfer-Encoding means nothing without this field (RFC 2045 section 4).
    """
    at = section.start
    encoding: _Encoding | None = None
    for field in section.fields:
        found = raw[field.start : field.end]
        piece: _Piece
        if field.name in own:
            piece = _OwnField(field.name, found)
        elif field.name == "content-transfer-encoding" and body is not None:
            piece = encoding = _Encoding(body, found)
        elif field.name in stale:
            piece = b""
        else:
            continue
        yield raw[at : field.start]
        yield piece
        at = field.end
    yield raw[at : section.end]
    if body is not None and encoding is None:
        yield _Encoding(body, b"", b"" if section.all("mime-version") else mime_version)


def _own_lines(headers: Mapping[str, str], eol: bytes) -> bytes:
    lines: list[bytes] = []
    if len({name.lower() for name in headers}) != len(headers):
        raise ValueError("the same header twice")
    for name, value in headers.items():
        if name.lower() not in OWN_FIELDS:
            raise ValueError("only List-Unsubscribe and List-Unsubscribe-Post are ours to set")
        if not _HEADER_VALUE.fullmatch(value) or len(name) + 2 + len(value) > MAX_LINE:
            raise ValueError(f"the value of {name} cannot stand in a header")
        lines.append(f"{name}: {value}".encode("ascii") + eol)
    return b"".join(lines)
