"""What an SMS will cost, before anything is sent: segments with the author's links and with ours, and warnings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.lib.sms_segments import MAX_NAMED_CHARACTERS, Segments, count_segments


class SmsWarning(StrEnum):
    """A closed set; in the order in which warnings are listed."""

    LINK_ADDS_SEGMENT = "link_adds_segment"
    """The text with our links needs more segments than the text as written."""
    NOT_GSM_CHARACTERS = "not_gsm_characters"
    """A few characters (`SmsPreview.not_gsm`) make each segment hold 70 characters instead of 160."""
    TOO_LONG = "too_long"
    """More segments than a message can have: no provider will send it."""


@dataclass(frozen=True, slots=True)
class SmsPreview:
    before: Segments
    """The text as its author wrote it."""
    after: Segments
    """The text as it will be sent."""
    warnings: tuple[SmsWarning, ...] = ()
    not_gsm: tuple[str, ...] = ()
    """With `NOT_GSM_CHARACTERS`: the characters to replace, at most ten. Otherwise empty."""

    def as_json(self) -> dict[str, Any]:
        """As every answer of the API gives it."""
        return {
            "before": _figures(self.before),
            "after": _figures(self.after),
            "warnings": [warning.value for warning in self.warnings],
            "not_gsm": list(self.not_gsm),
        }


def preview(before: str, after: str) -> SmsPreview:
    """Compare a text with what it becomes for one recipient.

    A code has at most `app.tracking.codes.MAX_LENGTH` characters, all of one septet, and characters more never make
    segments fewer: the text rendered with codes of that length is the worst case for recipients with the same values.

    Characters outside the GSM alphabet are warned of when they are few: fewer than ten different ones are slips
    (curly quotes, an emoji, a letter with an accent); more of them mean another script, which nobody wants replaced.

    Raises:
        ValueError: a text has half of a surrogate pair; one sentence, without the text.
    """
    old, new = count_segments(before), count_segments(after)
    warnings = []
    if new.segments > old.segments:
        warnings.append(SmsWarning.LINK_ADDS_SEGMENT)
    few = 0 < len(new.not_gsm) < MAX_NAMED_CHARACTERS
    if few:
        warnings.append(SmsWarning.NOT_GSM_CHARACTERS)
    if new.too_long:
        warnings.append(SmsWarning.TOO_LONG)
    return SmsPreview(old, new, tuple(warnings), new.not_gsm if few else ())


def _figures(segments: Segments) -> dict[str, Any]:
    return {
        "encoding": segments.encoding.value,
        "units": segments.units,
        "segments": segments.segments,
        "units_left": segments.units_left,
    }
