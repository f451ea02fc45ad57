"""A block: the numbers of one request, and what its links lead to (design: numbers, blocks, codes).

    number = start + recipient × stride + slot

Slot 0 is the pixel in the header, 1 the pixel in the footer, 2 unsubscribe, 3 the web view, 4… the links.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

NUMBER_BITS = 48
FIRST_LINK_SLOT = 4
SEALED_LINK_SLOTS = 1 << 28
"""Links of sealed tokens stand in no table; their slots are from here on, made of the destination."""

TRAP_ID = "lnk_trap"


class Slot(IntEnum):
    """What the first slots of every recipient mean."""

    PIXEL_HEADER = 0
    PIXEL_FOOTER = 1
    UNSUBSCRIBE = 2
    WEB_VIEW = 3


def link_id(slot: int, link: Link | None = None) -> str:
    """The public name of a link: its place in the content from 1, or for a sealed token's link its fingerprint. The
    trap is in no author's content and has a name of its own.

    Args:
        link: what is in the slot, where that is known.
    """
    if link is not None and link.trap:
        return TRAP_ID
    if slot >= SEALED_LINK_SLOTS:
        return f"lnk_s{slot - SEALED_LINK_SLOTS:07x}"
    return f"lnk_{slot - FIRST_LINK_SLOT + 1}"


class Channel(StrEnum):
    EMAIL = "email"
    SMS = "sms"


@dataclass(frozen=True, slots=True)
class Link:
    """One logical link: where it leads exactly as its author wrote it, and what to call it in reports."""

    destination: str
    label: str = ""
    personal: bool = False
    """The destination is a template: `{{ name }}` is filled from the message's own values (`app.tracking.personal`)."""
    fallback: str = ""
    """What is left without them, where the template itself does not say it; figures show this then."""
    trap: bool = False
    """Hidden from people and screen readers: whoever follows it is a machine. Always the last of a block's links."""

    @property
    def shown(self) -> str:
        """The URL by which figures and webhooks call the link: the same for every recipient."""
        return self.fallback or self.destination


@dataclass(frozen=True, slots=True)
class Block:
    """Immutable once stored; stored (majority) before any of its codes leaves the process."""

    start: int
    count: int
    """Recipients, at least 1."""
    stride: int
    """Slots per recipient: 4 + links."""
    brand_id: str
    channel: Channel
    links: tuple[Link, ...]
    created_at: datetime
    campaign_id: str | None = None
    list_id: str | None = None
    job_source: str | None = None
    track_opens: bool = True
    """The tracking mode. A hit of a kind that is not tracked is answered like any other and not stored."""
    track_clicks: bool = True

    @property
    def end(self) -> int:
        """One past the last number."""
        return self.start + self.count * self.stride

    def message_of(self, number: int) -> int:
        """The message's own number (its slot 0) for any number of the block."""
        return number - (number - self.start) % self.stride

    def slot_of(self, number: int) -> int:
        return (number - self.start) % self.stride

    def link_at(self, slot: int) -> Link | None:
        """The link in a slot, or None when the slot is not a link's."""
        index = slot - FIRST_LINK_SLOT
        return self.links[index] if 0 <= index < len(self.links) else None
