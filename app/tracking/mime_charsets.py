"""Bytes of a body to text and back, without losing any. `mime_encodings` deals with what wraps the bytes."""

from __future__ import annotations

from encodings import normalize_encoding
from encodings.aliases import aliases

from app.tracking.mime_notes import LeftAlone, MimeNote

# An allow-list, because looking up names that somebody invents fills a cache of Python's that is never emptied,
# and because some of Python's codecs are no charsets.
_NO_CHARSETS = {"base64_codec", "bz2_codec", "hex_codec", "mbcs", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"}
_WITHOUT_ALIAS = {"cp720", "cp737", "cp856", "cp874", "cp875", "cp1006", "iso8859_1", "koi8_t", "koi8_u"}
_CODECS = {name: codec for name, codec in aliases.items() if codec not in _NO_CHARSETS}
_CODECS |= {codec: codec for codec in {*_CODECS.values(), *_WITHOUT_ALIAS}}
_CODECS |= {  # names that are on the wire and unknown to Python
    "iso_8859_6_i": "iso8859_6",
    "iso_8859_8_i": "iso8859_8",
    "unicode_1_1_utf_7": "utf_7",
    "unicode_1_1_utf_8": "utf_8",
    "utf_8_sig": "utf_8",  # the mark is kept as a character
    "windows_874": "cp874",
    "x_euc_jp": "euc_jp",
    "x_gbk": "gbk",
    "x_sjis": "shift_jis",
}
# What senders say and what they mean (the Encoding Standard of the WHATWG does the same). Supersets, tried in order.
_SUPERSETS = {
    "big5": ("cp950", "big5hkscs"),
    "euc_kr": ("cp949",),
    "gb2312": ("gbk", "gb18030"),
    "gbk": ("gb18030",),
    "iso2022_jp": ("iso2022_jp_1", "iso2022_jp_ext"),
    "iso8859_9": ("cp1254",),
    "iso8859_11": ("cp874",),
    "shift_jis": ("cp932",),
}
_UNDECLARED = frozenset(("", "ascii", "unknown_8bit", "x_unknown", "unknown"))
_BYTE_ORDER_MARKS = ((b"\xff\xfe", "utf_16_le"), (b"\xfe\xff", "utf_16_be"))
_WIDE = {"utf_16": _BYTE_ORDER_MARKS, "utf_32": ((b"\xff\xfe\0\0", "utf_32_le"), (b"\0\0\xfe\xff", "utf_32_be"))}


def decode(data: bytes, charset: str) -> tuple[str, str]:
    """The text, and the codec with which it becomes exactly these bytes again.

    Args:
        charset: the parameter as it stands; empty when there is none.

    Raises:
        LeftAlone: nobody knows the charset, or it does not lead back to the same bytes.
    """
    name = normalize_encoding(charset[:100]).lower().strip("_") if charset.isascii() else "?"
    codec = _CODECS.get(name, name)
    if codec in _UNDECLARED:
        candidates = _undeclared(data)
    elif codec in _CODECS:
        candidates = (codec, *_SUPERSETS.get(codec, ()))
    else:
        raise LeftAlone(MimeNote.CHARSET_UNKNOWN, "a charset nobody knows")
    for candidate in candidates:
        chosen = _marked(data, candidate)
        try:
            text = data.decode(chosen)
            if text.encode(chosen) == data:
                return text, chosen
        except UnicodeError:
            continue
    raise LeftAlone(MimeNote.CHARSET_NOT_REVERSIBLE, f"not clean {codec}")


def _undeclared(data: bytes) -> tuple[str, ...]:
    """ASCII by default (RFC 2045 5.2). What it holds instead is UTF-8, or bytes that survive as 256 characters."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ("utf_16",)
    if b"\0" in data or b"\x1b" in data:  # UTF-16 without its mark, ISO 2022 without its name
        raise LeftAlone(MimeNote.CHARSET_UNKNOWN, "no charset, and not ASCII")
    return ("ascii", "utf_8", "iso8859_1")


def _marked(data: bytes, codec: str) -> str:
    """UTF-16 and UTF-32 say their byte order in a mark, which has to stay."""
    return next((ordered for mark, ordered in _WIDE.get(codec, ()) if data.startswith(mark)), codec)


def keeps_ascii(codec: str) -> bool:
    """Whether ASCII text is the same bytes in this charset (not in UTF-16, EBCDIC)."""
    return "\r\n <a>=".encode(codec) == b"\r\n <a>="
