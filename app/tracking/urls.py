"""The URLs that point at us, and the form of a destination that fits into a `Location` header."""

from __future__ import annotations

from urllib.parse import quote, urlsplit


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
    """A destination for the `Location` header: as its author wrote it when that is ASCII, else the equal URI (RFC 3987,
    section 3.1). None when it must not be redirected to: another scheme, control characters, white space.

    It was checked when it was stored; this is the second look, at the last moment.
    """
    if not destination[:8].lower().startswith(("https://", "http://")):
        return None
    if destination.isascii():
        return destination if destination.isprintable() and " " not in destination else None
    try:
        parts = urlsplit(destination)
        host = (parts.hostname or "").encode("idna").decode("ascii")
        netloc = host if parts.port is None else f"{host}:{parts.port}"
    except (ValueError, UnicodeError):
        return None
    rest = destination.split("://", 1)[1]
    tail = rest[len(parts.netloc) :]
    encoded = quote(tail, safe="/?#[]@!$&'()*+,;=:%~|{}^`\\\"<>")
    if not host or not encoded.isprintable() or " " in encoded or "@" in parts.netloc:
        return None
    return f"{parts.scheme}://{netloc}{encoded}"
