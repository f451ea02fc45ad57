"""Which browser an agent is, for agents that have that browser's whole shape and nothing of an app's.

Only what a plain browser sends is recognised, because more is expected of it than of an app: browsers send
`Sec-Fetch-*` and `Accept-Language`, and update themselves. For every other agent nothing is expected.
"""

from __future__ import annotations

import re

_VERSION = r"[0-9]+(?:\.[0-9]+){0,3}"

# Matched as a whole. A bracket may hold a model with brackets of its own: "Moto G (4)". "; wv" is a page inside an app.
_SYSTEM = r"\((?![^()]*(?:\([^()]*\)[^()]*)?; ?wv\))[^()]*(?:\([^()]*\)[^()]*)?\)"
_CHROMIUM = re.compile(
    rf"Mozilla/5\.0 {_SYSTEM} AppleWebKit/537\.36 \(KHTML, like Gecko\)"
    rf"(?: SamsungBrowser/{_VERSION})? Chrome/([0-9]{{1,4}})(?:\.[0-9]+){{3}}(?: Mobile)? Safari/537\.36"
    rf"(?: (Edge?|EdgA|OPR|Vivaldi|OPX)/{_VERSION})?"
)
_FIREFOX = re.compile(
    rf"Mozilla/5\.0 \((?:Windows|Macintosh|X11|Wayland|Linux|Android)[^()]*; rv:{_VERSION}\)"
    rf" Gecko/{_VERSION} Firefox/([0-9]{{1,4}})(?:\.[0-9]+)+"
)
_SAFARI = re.compile(
    r"Mozilla/5\.0 \((?:Macintosh|iPhone|iPad|iPod)[^()]*\) AppleWebKit/[0-9.]+ \(KHTML, like Gecko\)"
    r" Version/([0-9]{1,3})(?:\.[0-9]+)*(?: Mobile/\w+)? Safari/[0-9.]+"
)


def browser_of(agent: str) -> tuple[str, int]:
    """`chrome`, `edge`, `firefox` or `safari` and its major version; `("", 0)` for everything else.

    Opera, Vivaldi and Samsung's browser are `chrome`: they behave like the Chromium whose version they name.
    """
    if chromium := _CHROMIUM.fullmatch(agent):
        return "edge" if (chromium[2] or "").startswith("Ed") else "chrome", int(chromium[1])
    if firefox := _FIREFOX.fullmatch(agent):
        return "firefox", int(firefox[1])
    if safari := _SAFARI.fullmatch(agent):
        return "safari", int(safari[1])
    return "", 0
