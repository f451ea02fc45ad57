"""Content analysed once per request: literal text and slots. `rewrite_html` and `rewrite_text` make it.

A template keeps the author's characters as slices of the input; only the slots are filled, for each recipient.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Template:
    """Text with holes.

    Args:
        parts: text, slot, text, slot, …, text: always alternating, text first and last (it may be empty).
        escape: URLs go into HTML, so `& < > " '` become character references.
    """

    parts: tuple[str | int, ...]
    escape: bool = False

    def __post_init__(self) -> None:
        if len(self.parts) % 2 == 0 or any(isinstance(part, int) != bool(i & 1) for i, part in enumerate(self.parts)):
            raise ValueError("parts must alternate: text, slot, …, text")

    @property
    def slots(self) -> frozenset[int]:
        """Every slot that occurs, so that the caller makes only the URLs that are needed."""
        return frozenset(part for part in self.parts if isinstance(part, int))

    def render(self, url_of: Sequence[str] | Mapping[int, str]) -> str:
        """The text for one recipient.

        Args:
            url_of: the URL of each slot in `slots`.

        Raises:
            LookupError: a slot has no URL.
        """
        filled: list[str | int] = list(self.parts)
        urls = [url_of[slot] for slot in filled[1::2]]  # type: ignore[index]  # odd parts are slots (__post_init__)
        if self.escape:
            # One look at all URLs together: ours need no escaping, and 40 separate calls would double the cost.
            joined = "".join(urls)
            if html.escape(joined) != joined:
                urls = [html.escape(url) for url in urls]
        filled[1::2] = urls
        return "".join(filled)  # type: ignore[arg-type]  # every slot has just been replaced by a str


class Splice(NamedTuple):
    """Characters `start:end` of a source give way to these parts."""

    start: int
    end: int
    parts: tuple[str | int, ...]


def assemble(source: str, splices: Iterable[Splice], *, escape: bool) -> Template:
    """A template of `source` with the splices made; everything between them is the source's own characters.

    Splices must not overlap; two at the same place keep their given order.
    """
    parts: list[str | int] = []
    literal: list[str] = []
    at = 0
    for splice in sorted(splices, key=lambda splice: splice.start):
        literal.append(source[at : splice.start])
        for part in splice.parts:
            if isinstance(part, str):
                literal.append(part)
            else:
                parts += ("".join(literal), part)
                literal.clear()
        at = splice.end
    literal.append(source[at:])
    parts.append("".join(literal))
    return Template(tuple(parts), escape)


def refuse_lone_surrogates(text: str) -> None:
    """JSON can carry half of a surrogate pair (`"\\ud800"`), which no encoding can send.

    Raises:
        InvalidRequest: the text has one.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            f"the text has half of a surrogate pair at character {error.start + 1}", code="invalid_text", status=422
        ) from None
