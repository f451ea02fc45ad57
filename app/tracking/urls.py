"""The URLs that point at us, and the form of a destination that fits into a `Location` header."""

from __future__ import annotations

import re

from app.lib.http_url import read_destination

_WITH_PATH = re.compile(r"(?i:https?)://([^/?#:]+)(?::[0-9]*)?(/[a-z]/)")


class TrackingUrls:
    """Args:
    scheme: `https` in production.
    port: appended to the host; only for local use.
    """

    def __init__(self, scheme: str, port: int | None = None) -> None:
        self._scheme = scheme
        self._port = "" if port is None else f":{port}"

    def _base(self, host: str) -> str:
        return f"{self._scheme}://{host}{self._port}"

    def pixel(self, host: str, code: str) -> str:
        return f"{self._base(host)}/o/{code}.gif"

    def click(self, host: str, code: str) -> str:
        return f"{self._base(host)}/c/{code}"

    def unsubscribe(self, host: str, code: str) -> str:
        return f"{self._base(host)}/u/{code}"


def lies_under(url: str, path: str, hosts: frozenset[str]) -> bool:
    """Whether a URL is one of ours, as it stands in a content that was rewritten before.

    Args:
        path: `/o/`, `/c/` or `/u/`.
        hosts: a brand's tracking hosts; the port may be any.
    """
    found = _WITH_PATH.match(url.strip())
    return found is not None and found[2] == path and found[1].lower().removesuffix(".") in hosts


def location(destination: str) -> str | None:
    """A destination for the `Location` header: as its author wrote it when that is visible ASCII, else the equal URI.
    None when it must not be redirected to: another scheme, control characters, userinfo, a host that is none.

    It was checked when it was stored; this is the second look, at the last moment. The front asks
    `app.lib.http_url.read_destination` itself, because it also needs the host.
    """
    try:
        return read_destination(destination).location
    except ValueError:
        return None
