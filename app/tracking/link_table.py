"""The links of one request, in slot order. `rewrite_html` and `rewrite_text` fill it."""

from __future__ import annotations

from app.errors import InvalidRequest
from app.models.block import FIRST_LINK_SLOT, Link

MAX_LINKS = 500
LABEL_LENGTH = 80
"""Characters of a link's text that reports show."""
TRAP_LABEL = "trap"


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

    def add(self, destination: str, label: str, *, personal: bool = False) -> int:
        """A new link's slot: each HTML anchor is its own link, so that statistics keep positions apart.

        Args:
            personal: the destination is a template.

        Raises:
            InvalidRequest: too many links.
        """
        if len(self._links) >= self._max_links:
            raise InvalidRequest(f"more than {self._max_links} links", code="too_many_links", status=422)
        slot = FIRST_LINK_SLOT + len(self._links)
        self._links.append(Link(destination, " ".join(label.split())[:LABEL_LENGTH].rstrip(), personal))
        self._first.setdefault(destination, slot)
        return slot

    def shared(self, destination: str, *, personal: bool = False) -> int:
        """The slot of the first link with this destination, a new one when there is none.

        A URL in the text part is the same logical link as its first twin in the html. A template is never equal to
        a plain destination: `{{` makes the difference.

        Raises:
            InvalidRequest: too many links.
        """
        slot = self._first.get(destination)
        return self.add(destination, "", personal=personal) if slot is None else slot

    def add_trap(self) -> None:
        """The last link of all, once there is one that is not personal: a person who gets there nevertheless ends
        where the first such link leads. It takes no author's link away, so no limit counts it."""
        target = next(link.destination for link in self._links if not link.personal)
        self._links.append(Link(target, TRAP_LABEL, trap=True))

    def knows(self, destination: str) -> bool:
        """Whether there is a link with this destination."""
        return destination in self._first

    def back_to(self, count: int) -> None:
        """Forget all links but the first `count`."""
        del self._links[count:]
        limit = FIRST_LINK_SLOT + count
        self._first = {destination: slot for destination, slot in self._first.items() if slot < limit}
