"""One request of somebody with a link: how it is sent through nginx, what must be answered, and the event that follows.

`players` makes them; nobody's DNS knows a brand's host, so they go to the copy's address with the link's `Host`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from local.demo.figures import Happened

PIXEL, REDIRECT, PAGE = "pixel", "redirect", "page"
MAX_BODY_BYTES = 65_536

_COMMON = {
    "Cache-Control": "no-store, no-cache, must-revalidate, private",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}
_NOT_CACHEABLE = ("ETag", "Last-Modified")


@dataclass(frozen=True, slots=True)
class Answer:
    """What must come back."""

    status: int
    kind: str
    location: str | None = None
    holds: str = ""
    """A text that the page must have."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One request."""

    what: str
    """For a person: `click`, `HEAD on a link`, …; counted in the summary."""
    method: str
    url: str
    """As the API gave it, or what somebody made of it."""
    answer: Answer
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    event: Happened | None = None
    """None: nothing may come of it."""


class Front:
    """Sends hits to one copy.

    Args:
        url: the copy's address; the hits' own hosts become `Host` headers.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def play(self, hit: Hit) -> str | None:
        """Send a hit; what is wrong with its answer, None when nothing is."""
        parts = urlsplit(hit.url)
        target = URL(f"{self._url}{parts.path}{'?' + parts.query if parts.query else ''}", encoded=True)
        try:
            async with self._session.request(
                hit.method,
                target,
                headers={"Host": parts.netloc, **hit.headers},
                data=hit.body,
                allow_redirects=False,
            ) as response:
                body = await response.content.read(MAX_BODY_BYTES)
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"{hit.what}: no answer ({type(error).__name__})"
        fault = check(hit, response.status, response.headers, body)
        return None if fault is None else f"{hit.what}: {fault}"


def check(hit: Hit, status: int, headers: Mapping[str, str], body: bytes) -> str | None:
    """What differs from the answer that must come, None when nothing does."""
    answer = hit.answer
    if status != answer.status:
        return f"status {status} instead of {answer.status}"
    if headers.get("Location") != answer.location:
        return f"leads to {headers.get('Location')} instead of {answer.location}"
    for name, value in _COMMON.items():
        if headers.get(name) != value:
            return f"{name} is {headers.get(name)!r}"
    for name in _NOT_CACHEABLE:
        if name in headers:
            return f"has a header {name}"
    if hit.method == "HEAD" or answer.kind == REDIRECT:
        return "has a body" if body else None
    if answer.kind == PIXEL:
        return None if _is_pixel(headers, body) else "is not a pixel"
    if not headers.get("Content-Type", "").startswith("text/html") or answer.holds.encode() not in body or not body:
        return "is not the page"
    return None


def _is_pixel(headers: Mapping[str, str], body: bytes) -> bool:
    """A GIF of 1 by 1 pixel: signature, then width and height in two bytes each, little end first."""
    return headers.get("Content-Type") == "image/gif" and body[:10] == b"GIF89a\x01\x00\x01\x00" and body[-1:] == b";"
