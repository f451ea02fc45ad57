"""A body of a MIME message: its text for `plan_part`, its bytes per recipient. `rewrite_mime` puts it in place."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from app.tracking.mime_charsets import decode, keeps_ascii
from app.tracking.mime_encodings import (
    IDENTITY,
    better_encoding,
    decode_body,
    encode_base64,
    encode_qp,
    encode_qp_url,
    lines_fit,
)
from app.tracking.mime_notes import LeftAlone, MimeNote
from app.tracking.mime_parts import BodyPart, PartKind
from app.tracking.template import Template

_PGP = re.compile(r"^-----BEGIN PGP ", re.MULTILINE)
_SAMPLE_URL = "https://t.example/c/0"


class MimeBody:
    """A template in the charset of its part. What does not depend on the recipient is encoded once."""

    def __init__(self, template: Template, *, codec: str, part: BodyPart, eol: bytes, ends_with_eol: bool) -> None:
        self.encoding = part.content.encoding
        self.slots = template.slots
        self._slots = [slot for slot in template.parts if isinstance(slot, int)]
        self.holes = len(self._slots)
        self._literals = [text.encode(codec) for text in template.parts if isinstance(text, str)]
        self._escape = template.escape
        self._codec = codec
        self._eol = eol
        self._boundaries = [b"--" + boundary for boundary in part.boundaries]
        self._after_base64 = eol if ends_with_eol else b""

    def render(self, url_of: Sequence[str] | Mapping[int, str]) -> tuple[bytes, str]:
        """The body for one recipient, and its transfer encoding: the part's own unless it does not fit.

        Raises:
            LookupError: a slot has no URL.
            ValueError: a URL cannot be written in the charset.
        """
        urls = self._urls(url_of)
        encoding = self.encoding
        if encoding in IDENTITY:
            plain = self.plain(urls)
            if self._fits(plain):
                return plain, encoding
            encoding = self._fallback
        if encoding == "quoted-printable":
            body = self._quoted_printable(urls)
            if self._no_boundary_in(body):
                return body, encoding
        return encode_base64(self.plain(urls), self._eol) + self._after_base64, "base64"

    def plain(self, urls: Sequence[bytes]) -> bytes:
        """The body before any transfer encoding."""
        filled = [b""] * (2 * len(urls) + 1)
        filled[::2] = self._literals
        filled[1::2] = urls
        return b"".join(filled)

    def _urls(self, url_of: Sequence[str] | Mapping[int, str]) -> list[bytes]:
        """One per place, in order, escaped as the template wants it."""
        urls = [url_of[slot] for slot in self._slots]
        if self._escape:
            joined = "".join(urls)  # one look at all together: ours need no escaping
            if html.escape(joined) != joined:
                urls = [html.escape(url) for url in urls]
        return [url.encode(self._codec) for url in urls]

    def _fits(self, plain: bytes) -> bool:
        """Whether the part's own 7bit, 8bit or binary is still right. Wide charsets never were."""
        return (
            (self.encoding != "7bit" or plain.isascii())
            and keeps_ascii(self._codec)
            and lines_fit(plain)
            and self._no_boundary_in(plain)
        )

    def _no_boundary_in(self, body: bytes) -> bool:
        """A line that looks like a boundary may come from wrapping, or from what was removed in front of it."""
        return not any(body.startswith(dashed) or b"\n" + dashed in body for dashed in self._boundaries)

    @cached_property
    def _fallback(self) -> str:
        return better_encoding(self._literals) if keeps_ascii(self._codec) else "base64"

    @cached_property
    def _quoted(self) -> list[bytes]:
        """The literals in quoted-printable. Each stands on lines of its own, so they are the same for everybody."""
        *before, last = self._literals
        eol = self._eol
        return [encode_qp(literal, eol, continued=True) for literal in before] + [encode_qp(last, eol, continued=False)]

    def _quoted_printable(self, urls: Sequence[bytes]) -> bytes:
        eol, quoted = self._eol, self._quoted
        filled = [b""] * (2 * len(urls) + 1)
        filled[::2] = quoted
        filled[1::2] = [encode_qp_url(url, eol, continued=True) for url in urls]
        if urls and not quoted[-1]:
            filled[-2] = encode_qp_url(urls[-1], eol, continued=False)
        return b"".join(filled)


def plan_body(raw: bytes, part: BodyPart, plan_part: Callable[[PartKind, str], Template | None]) -> MimeBody | None:
    """Have one body planned; None when `plan_part` changes nothing.

    Raises:
        LeftAlone: the body has no single, reversible reading.
    """
    body = raw[part.start : part.end]
    data = decode_body(body, part.content.encoding)
    text, codec = decode(data, part.content.params.get("charset", ""), html=part.kind is PartKind.HTML)
    if part.kind is PartKind.TEXT and _PGP.search(text):
        raise LeftAlone(MimeNote.PGP_INLINE, "signed or encrypted text")
    if part.content.params.get("delsp", "").lower() == "yes" and _broken_url(text):
        raise LeftAlone(MimeNote.FLOWED_DELSP, "a URL that goes on in the next line")
    template = plan_part(part.kind, text)
    if template is None or template.parts == (text,):
        return None
    try:
        planned = MimeBody(
            template, codec=codec, part=part, eol=_line_break(body, raw), ends_with_eol=body.endswith(b"\n")
        )
        whole = template.render(dict.fromkeys(template.slots, _SAMPLE_URL)).encode(codec)
    except UnicodeEncodeError:
        raise LeftAlone(MimeNote.CHARSET_NOT_REVERSIBLE, f"what was added has no place in {codec}") from None
    # Charsets with shift states can be written in pieces only if they return to ASCII in between.
    if planned.plain([_SAMPLE_URL.encode(codec)] * (len(template.parts) // 2)) != whole:
        raise LeftAlone(MimeNote.CHARSET_NOT_REVERSIBLE, f"{codec} in pieces")
    return planned


def _line_break(body: bytes, raw: bytes) -> bytes:
    """What most lines of the encoded body end with; without lines, what the message's first does."""
    lines = body.count(b"\n")
    if lines:
        return b"\r\n" if body.count(b"\r\n") * 2 >= lines else b"\n"
    return b"\r\n" if raw[: raw.find(b"\n") + 1].endswith(b"\r\n") else b"\n"


def _broken_url(text: str) -> bool:
    """RFC 3676 with DelSp: a line that ends in a blank goes on in the next, without the blank."""
    for line in text.split("\n"):
        bare = line.rstrip("\r")
        if bare.endswith(" ") and "://" in bare[:-1].rpartition(" ")[2]:
            return True
    return False
