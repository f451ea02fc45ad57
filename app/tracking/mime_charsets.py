"""Bytes of a body to text and back, without losing any. `mime_encodings` deals with what wraps the bytes."""

from __future__ import annotations

import re
from encodings import normalize_encoding
from encodings.aliases import aliases

from app.tracking.mime_notes import LeftAlone, MimeNote

# An allow-list, because looking up names that somebody invents fills a cache of Python's that is never emptied,
# and because some of Python's codecs are no charsets.
_NO_CHARSETS = {"base64_codec", "bz2_codec", "hex_codec", "mbcs", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"}
_WITHOUT_ALIAS = {"cp720", "cp737", "cp856", "cp874", "cp875", "cp1006", "koi8_t", "koi8_u"}
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
# What senders say, and what they mean in the order of trying. The Encoding Standard of the WHATWG, which readers
# follow, does the same.
_MEANT = {
    "big5": ("big5", "cp950", "big5hkscs"),
    "euc_kr": ("euc_kr", "cp949"),
    "gb2312": ("gb2312", "gbk", "gb18030"),
    "gbk": ("gbk", "gb18030"),
    "iso2022_jp": ("iso2022_jp", "iso2022_jp_1", "iso2022_jp_ext"),
    "latin_1": ("latin_1", "cp1252"),
    "iso8859_9": ("iso8859_9", "cp1254"),
    "iso8859_11": ("iso8859_11", "cp874"),
    "shift_jis": ("shift_jis", "cp932"),
}
_WITH_CONTROLS = frozenset(("latin_1", "iso8859_9", "iso8859_11"))
_CONTROLS = re.compile("[\x80-\x9f]")
_UNDECLARED = frozenset(("", "ascii", "unknown_8bit", "x_unknown", "unknown"))
_META = re.compile(rb"""<meta\s[^>]{0,200}?charset\s*=\s*["']?([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
_META_WITHIN = 1024  # bytes, where the HTML standard looks for it
_BYTE_ORDER_MARKS = ((b"\xff\xfe", "utf_16_le"), (b"\xfe\xff", "utf_16_be"))
_WIDE = {"utf_16": _BYTE_ORDER_MARKS, "utf_32": ((b"\xff\xfe\0\0", "utf_32_le"), (b"\0\0\xfe\xff", "utf_32_be"))}


def decode(data: bytes, charset: str, *, html: bool) -> tuple[str, str]:
    """The text, and the codec with which it becomes exactly these bytes again.

    Args:
        charset: the parameter as it stands; empty when there is none.
        html: it may say its charset itself when nobody else does.

    Raises:
        LeftAlone: nobody knows the charset, or it does not lead back to the same bytes.
    """
    codec = _codec(charset)
    if codec in _UNDECLARED:
        candidates = _undeclared(data, html)
    elif codec in _CODECS:
        candidates = _MEANT.get(codec, (codec,))
    else:
        raise LeftAlone(MimeNote.CHARSET_UNKNOWN, "a charset nobody knows")
    last_resort = None
    for candidate in candidates:
        chosen = _marked(data, candidate)
        try:
            text = data.decode(chosen)
            if text.encode(chosen) != data:
                continue
        except UnicodeError:
            continue
        # Bytes 80 to 9F of an ISO 8859 are typography by Windows: a quote behind a URL must not become part of it.
        if chosen not in _WITH_CONTROLS or not _CONTROLS.search(text):
            return text, chosen
        last_resort = text, chosen
    if last_resort:
        return last_resort
    raise LeftAlone(MimeNote.CHARSET_NOT_REVERSIBLE, f"not clean {codec}")


def _codec(charset: str) -> str:
    """Python's name for a charset; something that is not in `_CODECS` when nobody knows it."""
    name = normalize_encoding(charset[:100]).lower().strip("_") if charset.isascii() else "?"
    return _CODECS.get(name, name)


def _undeclared(data: bytes, html: bool) -> tuple[str, ...]:
    """ASCII by default (RFC 2045 5.2). What it holds instead is UTF-8, what html says, or bytes that survive."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ("utf_16",)
    if b"\0" in data or b"\x1b" in data:  # UTF-16 without its mark, ISO 2022 without its name
        raise LeftAlone(MimeNote.CHARSET_UNKNOWN, "no charset, and not ASCII")
    said = _META.search(data, 0, _META_WITHIN) if html else None
    codec = _codec(said[1].decode("ascii")) if said else ""
    meant = _MEANT.get(codec, (codec,)) if codec in _CODECS and keeps_ascii(codec) else ()
    return ("ascii", "utf_8", *meant, *_MEANT["latin_1"])


def _marked(data: bytes, codec: str) -> str:
    """UTF-16 and UTF-32 say their byte order in a mark, which has to stay."""
    return next((ordered for mark, ordered in _WIDE.get(codec, ()) if data.startswith(mark)), codec)


def keeps_ascii(codec: str) -> bool:
    """Whether ASCII text is the same bytes in this charset (not in UTF-16, EBCDIC)."""
    return "\r\n <a>=".encode(codec) == b"\r\n <a>="
