"""Texts that nobody else writes, and a search that finds them however they were wrapped.

Where they are looked for is `places`; who sends them is `personal_story`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import re2
import zstandard

_LETTERS = "bdfghjkmnpqrtvwxz"
_DEPTH = 3
"""A task's argument is base64 inside JSON inside base64, and may be compressed below that."""
_MOST_FOUND = 10
_AROUND = 60
_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/_-]{20,}")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_BACKSLASH = re.compile(rb"\\(?:x|u00)([0-9A-Fa-f]{2})")
_ZSTD, _GZIP, _ZLIB = b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08", (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


class Marks:
    """Names, addresses and numbers of one run, with a common part that is found whatever stands around it."""

    def __init__(self) -> None:
        self._token = "zq" + "".join(secrets.choice(_LETTERS) for _ in range(10))
        self._digits = f"{secrets.randbelow(10**9):09d}"
        self._digests: set[bytes] = set()
        self._compiled: Any = None

    def word(self, where: str) -> str:
        """A text to send; `where` tells which one was found. Letters and digits only."""
        return f"{self._token}{where}"

    def address(self, where: str) -> str:
        """An email address with a mark on both sides."""
        return self._known(f"{self.word(where)}@{self._token}.example")

    def phone(self, number: int) -> str:
        """A phone number in E.164 form."""
        return self._known(f"+882{self._digits}{number:02d}")

    def find(self, data: bytes) -> list[str]:
        """Every mark in `data` and what is around it; also encoded, compressed, hashed, and these in each other."""
        found: list[str] = []
        for layer in _layers(data, _DEPTH):
            found += self.find_flat(layer)
            if len(found) >= _MOST_FOUND:
                break
        return list(dict.fromkeys(found))[:_MOST_FOUND]

    def find_flat(self, data: bytes) -> list[str]:
        """As `find`, but without taking anything apart: for large files."""
        found: list[str] = []
        for match in self._pattern().finditer(data):
            start, end = match.span()
            found.append(repr(data[max(0, start - _AROUND) : end + _AROUND]))
            if len(found) >= _MOST_FOUND:
                break
        return found

    def _pattern(self) -> Any:
        if self._compiled is None:
            token, digits = self._token, self._digits
            any_case = {form for text in (token, digits) for form in _forms(text)}
            as_is = {form for text in (token, token.upper(), token.title(), digits) for form in _base64_forms(text)}
            options = re2.Options()
            options.encoding = re2.Options.Encoding.LATIN1
            text = b"(?i:" + _either(any_case) + b")|" + _either(as_is | self._digests)
            self._compiled = re2.compile(text, options)
        return self._compiled

    def _known(self, text: str) -> str:
        """Remember an address: its plain hash is a mark too, because whoever knows addresses can compare."""
        for form in (text, text.lower(), text.removeprefix("+")):
            for kind in (hashlib.md5, hashlib.sha1, hashlib.sha256):
                digest = kind(form.encode())
                self._digests |= {digest.digest(), digest.hexdigest().encode()}
        self._compiled = None
        return text


def look(places: Iterable[tuple[str, bytes]], marks: Marks, *, flat: bool = False) -> dict[str, list[str]]:
    """The marks that were found, by place."""
    search = marks.find_flat if flat else marks.find
    found: dict[str, list[str]] = {}
    for name, data in places:
        if here := search(data):
            found.setdefault(name, []).extend(here)
    return found


def _forms(text: str) -> Iterator[bytes]:
    raw = text.encode()
    yield raw
    yield raw[::-1]
    yield raw.hex().encode()
    yield text.encode("utf-16-le")
    yield base64.b32encode(raw)[: len(raw) * 8 // 5]
    for form in ("%{:02x}", "\\x{:02x}", "\\u{:04x}", "&#{};"):
        yield "".join(form.format(byte) for byte in raw).encode()


def _base64_forms(text: str) -> Iterator[bytes]:
    """At each of the three alignments, without the characters that a neighbour decides too."""
    for ahead in range(3):
        raw = bytes(ahead) + text.encode()
        yield base64.b64encode(raw)[-(-ahead * 8 // 6) : len(raw) * 8 // 6]


def _either(texts: Iterable[bytes]) -> bytes:
    return b"|".join(b"".join(b"\\x%02x" % byte for byte in text) for text in sorted(texts))


def _layers(data: bytes, depth: int) -> Iterator[bytes]:
    """The data, and what is inside it when it is taken apart."""
    yield data
    if depth:
        for inner in (*_decoded(data), *_decompressed(data)):
            yield from _layers(inner, depth - 1)


def _decoded(data: bytes) -> Iterator[bytes]:
    for run in _BASE64_RUN.findall(data):
        text = run.translate(bytes.maketrans(b"-_", b"+/"))
        with suppress(binascii.Error):
            yield binascii.a2b_base64(text + b"=" * (-len(text) % 4))
    if b"%" in data:
        yield _PERCENT.sub(_byte, data)
    if b"\\" in data:
        yield _BACKSLASH.sub(_byte, data.replace(b"\\\\", b"\\"))


def _byte(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode())


def _decompressed(data: bytes) -> Iterator[bytes]:
    for at in _places(data, _ZSTD):
        with suppress(zstandard.ZstdError):
            yield zstandard.ZstdDecompressor().decompressobj().decompress(data[at:])
    for magic in (_GZIP, *_ZLIB):
        for at in _places(data, magic):
            with suppress(zlib.error):
                yield zlib.decompressobj(wbits=47).decompress(data[at:], 1 << 22)


def _places(data: bytes, magic: bytes) -> Iterator[int]:
    """Where something may begin; the two letters of a magic number stand in many texts, so at most a few."""
    at = data.find(magic)
    for _ in range(8):
        if at < 0:
            return
        yield at
        at = data.find(magic, at + 1)
