"""How many SMS a text becomes: the GSM 7-bit default alphabet or UCS-2, and the parts of a concatenated message.

3GPP TS 23.038 sections 6.2.1 (alphabet and extension table) and 6.2.3 (UCS2), TS 23.040 section 9.2.3.24.1
(concatenation with an 8-bit reference; the rarer 16-bit reference leaves 152 and 66). The text is counted as it is
written: nothing is normalised or replaced. National language tables (Turkish, Portuguese, …) are not used, because
few phones and carriers read them: a character outside the default tables means UCS-2 for the whole text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

MAX_SEGMENTS = 255
"""What the one octet for the number of parts can say (TS 23.040 section 9.2.3.24.1)."""
MAX_NAMED_CHARACTERS = 10
"""How many of the characters that force UCS-2 are named."""

# In the order of the standard's table: a column (16 codes) a line. ESC, at 1/11, announces the other table and is no
# character; neither is the no-break space, which some mapping tables put there.
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
_EXTENSION = "\f^{}\\[~]|€"
_ALPHABET = _BASIC | frozenset(_EXTENSION)
_ESCAPE = "\x1b"
_HALF_PAIR = re.compile(r"[\ud800-\udfff]")


class Encoding(StrEnum):
    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


_SINGLE = {Encoding.GSM_7: 160, Encoding.UCS_2: 70}
_CONCATENATED = {Encoding.GSM_7: 153, Encoding.UCS_2: 67}


@dataclass(frozen=True, slots=True)
class Segments:
    """What a text costs. Units are septets (GSM-7) or UTF-16 code units (UCS-2)."""

    encoding: Encoding
    units: int
    """Of the text alone: without headers, and without what stays empty where a pair did not fit."""
    segments: int
    """At least 1, also for an empty text: a message without text is a message, and is charged for."""
    units_per_segment: int
    """160 or 70 for a single message, 153 or 67 in a concatenated one."""
    units_left: int
    """Units that still fit before there is one segment more."""
    not_gsm: tuple[str, ...] = ()
    """The first `MAX_NAMED_CHARACTERS` different characters that force UCS-2, in the order of the text."""

    @property
    def too_long(self) -> bool:
        """Whether the text cannot be sent as one message at all."""
        return self.segments > MAX_SEGMENTS


def count_segments(text: str) -> Segments:
    """Count a text as a phone would send it, in time linear in its length.

    CR and LF are one unit each. An escaped character and a surrogate pair stay in one segment, which may leave its last
    unit empty, so segments are packed one after the other. (Characters of several code points, such as a family of
    emoji, may be split: the phone joins the segments before it shows them.) Packing in order is optimal, so taking
    characters away never adds a segment.

    Raises:
        ValueError: the text has half of a surrogate pair; one sentence, without the text.
    """
    # dict.fromkeys keeps the order, and goes through a text of megabytes at the speed of C.
    not_gsm = tuple(islice((char for char in dict.fromkeys(text) if char not in _ALPHABET), MAX_NAMED_CHARACTERS))
    if not_gsm:
        if _HALF_PAIR.search(text):
            raise ValueError("has half of a surrogate pair")
        units = text.encode("utf-16-be")
        return _pack(Encoding.UCS_2, len(units) // 2, lambda at: 0xD8 <= units[2 * at] <= 0xDB, not_gsm)
    for char in _EXTENSION:
        text = text.replace(char, _ESCAPE + char)
    return _pack(Encoding.GSM_7, len(text), lambda at: text[at] == _ESCAPE, ())


def _pack(encoding: Encoding, units: int, starts_pair: Callable[[int], bool], not_gsm: tuple[str, ...]) -> Segments:
    """Lay `units` into segments; `starts_pair` says of a unit's index whether the next one must stay with it."""
    if units <= _SINGLE[encoding]:
        size = _SINGLE[encoding]
        return Segments(encoding, units, 1, size, size - units, not_gsm)
    size = _CONCATENATED[encoding]
    segments, end = 1, size
    while end < units:
        end += size - starts_pair(end - 1)
        segments += 1
    return Segments(encoding, units, segments, size, end - units, not_gsm)
