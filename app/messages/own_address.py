"""Keeps a person's own address out of the links of a message to that person alone.

A brand that renders by itself sends one request per recipient, often with `?email=…` in the links. A block is sealed
under the brand's key and is never erased, so such a URL is moved into the recipient's values: the block keeps what is
left without it, and erasing the person erases the rest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import unquote, unquote_plus

from app.messages.draft import Draft
from app.models.block import FIRST_LINK_SLOT, Channel, Link
from app.tracking.personal import without_values

# Pieces of a path, fields of a query, the fragment: whatever `without_values` can take out as a whole.
_PIECE = re.compile(r"(?<=[/?&#])[^/?&#]+")
_ORIGIN = re.compile(r"[A-Za-z]+://[^/?#]*")
_MIN_DIGITS = 7


def set_aside(draft: Draft, links: Sequence[Link]) -> tuple[tuple[Link, ...], dict[str, str]]:
    """The links with the recipient's address taken out, and the values that it went into.

    Batches are left alone: a link that all of them share names nobody in particular.
    """
    address = draft.addressees[0].recipient.address
    if len(draft.addressees) != 1 or not address:
        return tuple(links), {}
    kept: list[Link] = []
    values: dict[str, str] = {}
    for index, given in enumerate(links):
        name = f"_link_{index + FIRST_LINK_SLOT}"
        template = None if given.personal else _without_address(given.destination, draft.channel, address)
        label = "" if _names(given.label, draft.channel, address) else given.label
        if template is None:
            kept.append(replace(given, label=label))
        else:
            values[name] = given.destination
            left = without_values(template) or ""
            kept.append(Link(f"{{{{{name}}}}}", label, personal=True, fallback=left))
    return tuple(kept), values


def _without_address(url: str, channel: Channel, address: str) -> str | None:
    """The URL with a place instead of each piece that names the address; None when there is no such piece."""
    origin = _ORIGIN.match(url)
    if origin is None or not _names(url, channel, address):
        return None
    rest = url[origin.end() :]
    found = _PIECE.sub(lambda piece: "{{x}}" if _names(piece[0], channel, address) else piece[0], rest)
    return None if found == rest else origin[0] + found


def _names(text: str, channel: Channel, address: str) -> bool:
    readings = {text, unquote(text), unquote_plus(text), unquote(unquote(text))}
    if channel is Channel.EMAIL:
        return any(address.casefold() in reading.casefold() for reading in readings)
    digits = address.lstrip("+")
    return len(digits) >= _MIN_DIGITS and any(digits in re.sub(r"[^0-9]", "", reading) for reading in readings)
