"""The tree of a MIME message (RFC 2046): finds the bodies that may be rewritten. `rewrite_mime` rewrites them.

Boundaries are looked for in the message's own bytes, so that everything between the bodies can be kept as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from app.tracking.mime_headers import Content, HeaderSection, read_content, read_section
from app.tracking.mime_notes import LeftAlone, MimeNote, Notes

MAX_BYTES = 10_000_000
MAX_PARTS = 200
MAX_DEPTH = 20
MAX_BOUNDARY = 200  # RFC 2046 says 70
MAX_LOOKALIKES = 10_000  # lines that start like a boundary and are none: each is looked at on every level

_AFTER_BOUNDARY = re.compile(rb"(--)?[ \t]*+(?:\r?\n|\r?\Z)")
_ENTERED = frozenset(("multipart/alternative", "multipart/mixed", "multipart/related"))
_SEALED = frozenset(("multipart/signed", "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"))
_PLAIN_ENCODINGS = frozenset(("7bit", "8bit", "binary"))


class PartKind(StrEnum):
    HTML = "html"
    TEXT = "text"


_KINDS = {"text/html": PartKind.HTML, "text/plain": PartKind.TEXT}


@dataclass(frozen=True, slots=True)
class BodyPart:
    """A text/html or text/plain body that may be rewritten: `raw[start:end]`.

    Args:
        boundaries: of all multiparts around it; no line of the body may look like one of them.
        path: `1.2`, the second part of the first part; empty for the message itself.
    """

    kind: PartKind
    section: HeaderSection
    content: Content
    start: int
    end: int
    boundaries: tuple[bytes, ...]
    path: str


def find_bodies(raw: bytes, top: HeaderSection, notes: Notes) -> list[BodyPart]:
    """Every body that may be rewritten, in order.

    Raises:
        LeftAlone: a multipart without its boundary or with more than one reading; too many parts, too deep.
    """
    walk = _Walk(raw, notes)
    walk.entity(top, len(raw), (), "")
    return walk.bodies


class _Walk:
    def __init__(self, raw: bytes, notes: Notes) -> None:
        self.bodies: list[BodyPart] = []
        self._raw = raw
        self._notes = notes
        self._count = 0
        self._lookalikes = 0

    def entity(self, section: HeaderSection, end: int, boundaries: tuple[bytes, ...], path: str) -> None:
        if section.body is None:
            return
        try:
            content = read_content(self._raw, section)
        except LeftAlone as error:
            self._notes(error.note, named(path, error.detail))
            return
        if not content.media:
            self._notes(MimeNote.PART_UNREADABLE, named(path, "a content type nobody can read"))
        elif content.media in _SEALED:
            self._notes(MimeNote.SIGNED_OR_ENCRYPTED, named(path, content.media))
        elif content.media == "text/x-amp-html":
            self._notes(MimeNote.AMP, named(path, "AMP keeps its own links"))
        elif content.attachment and (content.media in _ENTERED or content.media in _KINDS):
            self._notes(MimeNote.ATTACHMENT, named(path, content.media))
        elif content.media in _ENTERED:
            self._multipart(content, section.body, end, boundaries, path)
        elif content.media in _KINDS:
            kind = _KINDS[content.media]
            self.bodies.append(BodyPart(kind, section, content, section.body, end, boundaries, path))

    def _multipart(self, content: Content, start: int, end: int, boundaries: tuple[bytes, ...], path: str) -> None:
        if content.encoding not in _PLAIN_ENCODINGS:
            raise LeftAlone(MimeNote.MIME_BROKEN, named(path, "an encoded multipart"))
        boundary = content.params.get("boundary", "").rstrip().encode("latin-1", "replace")
        if not 0 < len(boundary) <= MAX_BOUNDARY:
            raise LeftAlone(MimeNote.MIME_BROKEN, named(path, "a multipart without a boundary"))
        if len(boundaries) >= MAX_DEPTH:
            raise LeftAlone(MimeNote.TOO_DEEP, f"more than {MAX_DEPTH} levels")
        for index, (part_start, part_end) in enumerate(self._ranges(boundary, start, end, path), 1):
            inner = f"{path}.{index}" if path else str(index)
            try:
                section = read_section(self._raw, part_start, part_end, top=False)
            except LeftAlone as error:
                raise LeftAlone(MimeNote.MIME_BROKEN, named(inner, error.detail)) from None
            self.entity(section, part_end, (*boundaries, boundary), inner)

    def _ranges(self, boundary: bytes, start: int, end: int, path: str) -> list[tuple[int, int]]:
        """Start and end of each part; the line break before a delimiter belongs to the delimiter."""
        raw, dashed = self._raw, b"--" + boundary
        if raw.find(b"\r" + dashed, start, end) >= 0:
            raise LeftAlone(MimeNote.MIME_BROKEN, named(path, "a boundary after a bare CR"))
        ranges: list[tuple[int, int]] = []
        opened: int | None = None
        at = start if raw.startswith(dashed, start, end) else raw.find(b"\n" + dashed, start, end) + 1
        while at > 0:
            if line := _AFTER_BOUNDARY.match(raw, at + len(dashed), end):
                if opened is not None:
                    self._count_one()
                    ranges.append((opened, max(opened, _before_line_break(raw, at))))
                opened = line.end()
                if line[1]:
                    break
                at = raw.find(b"\n" + dashed, opened - 1, end) + 1
            else:
                self._lookalikes += 1
                if self._lookalikes > MAX_LOOKALIKES:
                    raise LeftAlone(MimeNote.MIME_BROKEN, named(path, "too many lines that look like a boundary"))
                at = raw.find(b"\n" + dashed, at, end) + 1
        else:
            if opened is None:
                raise LeftAlone(MimeNote.MIME_BROKEN, named(path, "the boundary does not occur"))
            self._notes(MimeNote.CLOSING_BOUNDARY_MISSING, named(path, "the last part ends with what is around it"))
            self._count_one()
            ranges.append((opened, end))
        return ranges

    def _count_one(self) -> None:
        self._count += 1
        if self._count > MAX_PARTS:
            raise LeftAlone(MimeNote.TOO_MANY_PARTS, f"more than {MAX_PARTS} parts")


def _before_line_break(raw: bytes, at: int) -> int:
    """Where the line break that ends right before `at` starts."""
    at -= 1
    return at - 1 if raw[at - 1 : at] == b"\r" else at


def named(path: str, detail: str) -> str:
    """The detail of a note, with the part that it is about."""
    return f"part {path}: {detail}" if path else detail
