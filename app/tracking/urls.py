"""The URLs that point at us, and the form of a destination that fits into a `Location` header."""

from __future__ import annotations

from app.lib.http_url import read_destination


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
