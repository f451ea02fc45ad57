"""Personalised links: a destination with places for values, `https://shop.example/o/{{order}}?v={{ variant }}`.

A value fills a piece of the path, the query or the fragment, or it is the whole URL (`{{ link }}` alone). It is
percent-encoded, so it can change neither the host nor the number of path segments, nor add a query field. Which
placeholders make a link personalised is `link_rules`; the front fills them at the redirect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote

NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,63}+"
"""What a value may be called: a regular expression without groups."""
RESERVED_NAMES = frozenset(
    {
        "unsubscribe_url",
        "web_view",
        "web_view_url",
        "webview_url",
        "view_in_browser_url",
        "preferences",
        "preferences_url",
        "preference_url",
    }
)
"""Placeholders with a meaning of their own: never filled with values, never tracked."""
PLACE = re.compile(rf"\{{\{{[ \t]*+({NAME})[ \t]*+\}}\}}")
"""Where a value goes; group 1 is its name."""

_PARTS = re.compile(r"([A-Za-z]+://[^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
# As browsers count segments: the escaped dot is a dot (URL standard, "single-dot" and "double-dot path segment").
_DOT_SEGMENT = re.compile(r"(?:\.|%2e){1,2}", re.IGNORECASE)
_UNRESERVED = "!'()*"  # with letters, digits and -._~ what encodeURIComponent leaves


def is_whole(template: str) -> bool:
    """Whether a single value is the whole URL."""
    return PLACE.fullmatch(template) is not None


def encoded(value: str) -> str:
    """A value as it stands in a URL.

    Raises:
        ValueError: half of a surrogate pair.
    """
    return quote(value, safe=_UNRESERVED)


def fill(template: str, values: Mapping[str, str], encode: Callable[[str], str] = encoded) -> str:
    """The destination for one recipient.

    Args:
        encode: `encoded`, or what remembers its answers for as long as one recipient's values are looked at.

    A value that is the whole URL comes out as it is: ask `link_rules.refusal_of_values` (at creation) and
    `app.lib.http_url.read_destination` (at the redirect) whether it may be followed.

    Raises:
        LookupError: a value is missing.
        ValueError: a value would make a path segment `.` or `..`, which would lead to another place; or half of a
            surrogate pair.
    """
    whole = PLACE.fullmatch(template)
    if whole:
        return values[whole[1]]
    parts = _PARTS.fullmatch(template)
    path = parts[2] if parts else ""
    if "{{" in path:
        for segment in path.split("/"):
            if "{{" in segment and _DOT_SEGMENT.fullmatch(_filled(segment, values, encode)):
                raise ValueError("a value makes a path segment . or ..")
    return _filled(template, values, encode)


def without_values(template: str) -> str | None:
    """What is left of a personalised destination when nothing is known of the person; None when that is nothing.

    The path ends before the first segment with a value, query fields with one go, so does a fragment with one.
    """
    parts = _PARTS.fullmatch(template)
    if parts is None or "{{" in parts[1]:
        return None
    origin, path, query, fragment = parts.groups()
    place = path.find("{{")
    if place >= 0:
        path = path[: path.rfind("/", 0, place) + 1]
        fragment = None  # it named a place on the page that is cut off
    if query is not None and "{{" in query:
        query = "&".join(field for field in query.split("&") if "{{" not in field) or None
    asked = "" if query is None else f"?{query}"
    anchor = f"#{fragment}" if fragment is not None and "{{" not in fragment else ""
    # A space at the end is none of a URL, and in front of a value it was not at the end.
    return f"{origin}{path}{asked}{anchor}".rstrip(" ")


def _filled(text: str, values: Mapping[str, str], encode: Callable[[str], str]) -> str:
    return PLACE.sub(lambda found: encode(values[found[1]]), text)
