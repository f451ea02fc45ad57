"""The links of one request, in slot order, and what counts as a web link. `rewrite_html` and `rewrite_text` fill it."""

from __future__ import annotations

import re

from app.errors import InvalidRequest
from app.models.block import FIRST_LINK_SLOT, Link

MAX_LINKS = 500
LABEL_LENGTH = 80
"""Characters of a link's text that reports show."""

# URL standard, "basic URL parser": C0 controls and spaces at the ends go, tabs and newlines go everywhere.
# NUL is not among them: HTML has turned it into U+FFFD before a URL parser sees it.
_ENDS = "".join(map(chr, range(0x01, 0x21)))
_INSIDE = str.maketrans("", "", "\t\n\r")
# Excluded from the host: what two URL parsers could read in two ways. What is left is the brand's decision.
_WEB_URL = re.compile(
    r"""https?://[^\x00-\x20\x7f/?#<>\\^|"`{}]++(?:[/?#][^\x00-\x1f\x7f]*+)?""", re.ASCII | re.IGNORECASE
)
# Marks of template languages (Jinja and Handlebars, ERB, shell style, Mailchimp, Salesforce): filled after us, so the
# URL is not known yet.
_PLACEHOLDER = re.compile(r"\{\{|\{%|<%|\$\{|\*\||%%[A-Za-z_=]")


def web_destination(value: str) -> str | None:
    """The http(s) URL in an href value, exactly as written but for the white space the URL standard drops.

    None for everything that is not ours to track: other schemes, relative and protocol-relative URLs, fragments,
    template placeholders (`{{ … }}` and the like), control characters, no host.
    """
    url = value.strip(_ENDS).translate(_INSIDE)
    return url if _WEB_URL.fullmatch(url) and not _PLACEHOLDER.search(url) else None


class LinkTable:
    """Gives each logical link its slot. One table serves the html and the text of a request; plan the html first."""

    def __init__(self, max_links: int = MAX_LINKS) -> None:
        self._max_links = max_links
        self._links: list[Link] = []
        self._first: dict[str, int] = {}

    @property
    def links(self) -> tuple[Link, ...]:
        """In slot order: the first is slot 4."""
        return tuple(self._links)

    def add(self, destination: str, label: str) -> int:
        """A new link's slot: each HTML anchor is its own link, so that statistics keep positions apart.

        Raises:
            InvalidRequest: too many links.
        """
        if len(self._links) >= self._max_links:
            raise InvalidRequest(f"more than {self._max_links} links", code="too_many_links", status=422)
        slot = FIRST_LINK_SLOT + len(self._links)
        self._links.append(Link(destination, " ".join(label.split())[:LABEL_LENGTH].rstrip()))
        self._first.setdefault(destination, slot)
        return slot

    def shared(self, destination: str) -> int:
        """The slot of the first link with this destination, a new one when there is none.

        A URL in the text part is the same logical link as its first twin in the html.

        Raises:
            InvalidRequest: too many links.
        """
        slot = self._first.get(destination)
        return self.add(destination, "") if slot is None else slot
