"""Whether a click may still lead where its link says: the same rule as at creation, by the brand's policy of now."""

from __future__ import annotations

from collections import OrderedDict

from app.brands import Brand
from app.lib.http_url import MAX_URL_LENGTH, read_destination


class Targets:
    """Remembers its answers, because a click must not pay for reading the same URL again.

    Args:
        kept: answers kept in this process at most; long destinations are read every time.
    """

    def __init__(self, *, kept: int = 8192) -> None:
        self._kept = kept
        self._known: OrderedDict[tuple[str, str], tuple[Brand, str | None]] = OrderedDict()

    def location(self, brand: Brand, destination: str) -> str | None:
        """The `Location` header for a destination; None when the brand does not, or no longer, allow it, or when it is
        none (another scheme, control characters, userinfo)."""
        known = self._known.get((brand.id, destination))
        # A reload makes new brands, and with them new answers.
        if known is not None and known[0] is brand:
            return known[1]
        found = read_location(brand, destination)
        if len(destination) <= MAX_URL_LENGTH:
            if len(self._known) >= self._kept:
                self._known.popitem(last=False)
            self._known[brand.id, destination] = brand, found
        return found


def read_location(brand: Brand, destination: str) -> str | None:
    """As `Targets.location`, remembering nothing: for destinations that are about a person."""
    try:
        read = read_destination(destination)
    except ValueError:
        return None
    return read.location if brand.allows_destination(read.host) else None
