"""Content-Transfer-Encodings (RFC 2045 section 6): what wraps the bytes of a body. `mime_charsets` makes them text."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterable

from app.tracking.mime_notes import LeftAlone, MimeNote

MAX_LINE = 998  # octets without the line break (RFC 5322 2.1.1)
IDENTITY = frozenset(("7bit", "8bit", "binary"))
_QP_LINE = 76
_BASE64_LINE = struct.Struct("76s")

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=\s]")
_DATA_AFTER_PADDING = re.compile(rb"=\s*+[^=\s]")
_PADDED_SOFT_BREAK = re.compile(rb"=[ \t]++(?:\r?\n|\Z)")
_QP_TOO_LONG = re.compile(rb"(?m)^(.{75})(.=)$")
_PLAIN_URL = re.compile(rb"[!-<>-~]{1,75}")


def decode_body(body: bytes, encoding: str) -> bytes:
    """The bytes behind a transfer encoding.

    Args:
        encoding: lower case.

    Raises:
        LeftAlone: an unknown encoding, or something on which readers would not agree.
    """
    if encoding == "base64":
        if _NOT_BASE64.search(body) or _DATA_AFTER_PADDING.search(body):
            raise LeftAlone(MimeNote.ENCODING_BROKEN, "something else among the base64")
        packed = body.translate(None, b" \t\r\n\v\f=")
        if len(packed) % 4 == 1:
            raise LeftAlone(MimeNote.ENCODING_BROKEN, "base64 that was cut off")
        return binascii.a2b_base64(packed + b"=" * (-len(packed) % 4))
    if encoding == "quoted-printable":
        if _PADDED_SOFT_BREAK.search(body):
            raise LeftAlone(MimeNote.ENCODING_BROKEN, "blanks behind a soft line break")
        return binascii.a2b_qp(body)
    if encoding not in IDENTITY:
        raise LeftAlone(MimeNote.ENCODING_UNKNOWN, "a transfer encoding nobody knows")
    return body


def lines_fit(body: bytes) -> bool:
    """No line is longer than 998 octets. Jumps from line break to line break, so it costs next to nothing."""
    at, end = 0, len(body)
    while end - at > MAX_LINE:
        line_break = body.rfind(b"\n", at, at + MAX_LINE + 1)
        if line_break < 0:
            if body[at + MAX_LINE : at + MAX_LINE + 2] != b"\r\n":
                return False
            line_break = at + MAX_LINE + 1
        at = line_break + 1
    return True


def encode_base64(data: bytes, eol: bytes) -> bytes:
    """Lines of 76 characters, without a line break behind the last."""
    packed = base64.b64encode(data)
    whole = len(packed) - len(packed) % 76
    lines = [line for (line,) in _BASE64_LINE.iter_unpack(packed[:whole])]  # twice as fast as slicing each
    if whole < len(packed):
        lines.append(packed[whole:])
    return eol.join(lines)


def encode_qp(data: bytes, eol: bytes, *, continued: bool) -> bytes:
    """Quoted-printable that starts and ends at the beginning of a line, so that pieces can be put together.

    Args:
        data: any bytes; `eol` in it is a line break, any other CR and LF is encoded.
        continued: more follows: a soft line break ends it, unless it ends a line anyway.
    """
    # The standard library's encoder, line by line: on whole texts it makes all line breaks equal.
    lines = [_encoded_line(line) for line in data.split(eol)]
    encoded = eol.join([line.replace(b"\n", eol) if b"\n" in line else line for line in lines])
    last = lines[-1].rpartition(b"\n")[2]
    if not continued or not last:
        return encoded
    if len(last) < _QP_LINE:
        return encoded + b"=" + eol
    unit = 3 if last[-3:-2] == b"=" else 1
    return b"".join((encoded[:-unit], b"=", eol, encoded[-unit:], b"=", eol))


def _encoded_line(line: bytes) -> bytes:
    encoded = binascii.b2a_qp(line, istext=False)
    # Before a bare LF the encoder leaves no room for the soft break, although it encodes that LF: 77 characters.
    return _QP_TOO_LONG.sub(rb"\1=\n\2", encoded) if b"\n" in line else encoded


def encode_qp_url(url: bytes, eol: bytes, *, continued: bool) -> bytes:
    """A URL on a line of its own; ours need no encoding and are looked at only once."""
    if _PLAIN_URL.fullmatch(url):
        return url + b"=" + eol if continued else url
    return encode_qp(url, eol, continued=continued)


def better_encoding(pieces: Iterable[bytes]) -> str:
    """The encoding for a body that needs one: quoted-printable while mostly ASCII, as its source stays readable."""
    total = special = 0
    for piece in pieces:
        total += len(piece)
        special += len(piece.translate(None, bytes(range(32, 127)) + b"\t\r\n"))
    return "base64" if special * 6 > total else "quoted-printable"
