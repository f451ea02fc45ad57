"""`{{unsubscribe_url}}` in content of any kind, as people write it and as editors spoil it."""

from __future__ import annotations

import re

from app.models.block import Slot
from app.tracking.template import Splice

# Editors percent-encode braces and blanks in an href, and make blanks that do not break.
_BLANK = r"(?:[ \t\u00a0]|%20|\+|&nbsp;)*+"
_NAME = rf"{_BLANK}unsubscribe_url{_BLANK}"
_UNSUBSCRIBE = re.compile(rf"\{{\{{\{{{_NAME}\}}\}}\}}|(?:\{{\{{|%7[Bb]%7[Bb]){_NAME}(?:\}}\}}|%7[Dd]%7[Dd])")
_SCHEMES = ("https://", "http://")
_ALONE = re.compile(rf"\s*(?:https?://)?(?:{_UNSUBSCRIBE.pattern})\s*", re.IGNORECASE)


def unsubscribe_splices(content: str) -> list[Splice]:
    """Every `{{unsubscribe_url}}` gives way to the recipient's own unsubscribe URL.

    A scheme that an editor put in front (`http://{{unsubscribe_url}}`) goes: the URL brings its own.
    """
    if "unsubscribe_url" not in content:
        return []
    return [
        Splice(_without_scheme(content, found.start()), found.end(), (int(Slot.UNSUBSCRIBE),))
        for found in _UNSUBSCRIBE.finditer(content)
    ]


def is_unsubscribe(url: str) -> bool:
    """Whether a URL is the placeholder and nothing else."""
    return _ALONE.fullmatch(url) is not None


def _without_scheme(content: str, start: int) -> int:
    before = content[max(0, start - 8) : start].lower()
    return next((start - len(scheme) for scheme in _SCHEMES if before.endswith(scheme)), start)
