"""Keeps a person's own address, contact id and name out of the links of a message to that person alone.

A brand that renders by itself sends one request per recipient, often with `?email=…` in the links. A block is sealed
under the brand's key and is never erased, so such a URL is moved into the recipient's values: the block keeps what is
left without it, and erasing the person erases the rest.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from urllib.parse import unquote

import idna

from app.lib.http_url import normalise_domain
from app.messages.draft import Draft
from app.models.block import FIRST_LINK_SLOT, Channel, Link
from app.tracking.link_table import LABEL_LENGTH
from app.tracking.personal import fill, without_values

# Pieces of a path, fields of a query, the fragment: whatever `without_values` can take out as a whole.
_PIECE = re.compile(r"(?<=[/?&#])[^/?&#]+")
_ORIGIN = re.compile(r"[A-Za-z]+://[^/?#]*")
_NOT_DIGITS = re.compile(r"[^0-9]+")
_MAX_DECODINGS = 5
_MIN_DIGITS = 7
_LONGEST_COUNTRY_CODE = 3
_MIN_CUT = 4
_MIN_OWN = 3
"""Shorter ids are equal to anything."""

_Naming = Callable[[str], bool]
"""Whether a text names the address."""


def set_aside(draft: Draft, links: Sequence[Link]) -> tuple[tuple[Link, ...], dict[str, str]]:
    """The links with the recipient's address taken out, and the values that it went into.

    Batches are left alone: a link that all of them share names nobody in particular.

    Args:
        draft: its values fill the personalised ones among `links` (`planning` has made sure of that).
    """
    addressee = draft.addressees[0]
    address = addressee.recipient.address
    if not address or len({one.recipient.address.casefold() for one in draft.addressees}) != 1:
        return tuple(links), {}
    alone = len(draft.addressees) == 1
    naming = _naming(draft.channel, address)
    person = addressee.recipient
    own = frozenset(_plain(text) for text in (person.id, person.name) if alone and text and len(text) >= _MIN_OWN)
    kept: list[Link] = []
    values: dict[str, str] = {}
    taken = frozenset(name for one in draft.addressees for name in one.values)
    for index, given in enumerate(links):
        label = "" if naming(given.label) or _is_cut_within(given.label, draft.channel, address) else given.label
        # Of somebody who gets several messages at once, each may have values of its own.
        left = _without_person(given.destination, naming, own) if alone or not given.personal else None
        if left is None:
            kept.append(replace(given, label=label))
        else:
            name = _free_name(f"_link_{index + FIRST_LINK_SLOT}", taken)
            values[name] = fill(given.destination, addressee.values) if given.personal else given.destination
            place = f"{{{{{name}}}}}"
            kept.append(replace(given, destination=place, label=label, personal=True, fallback=left))
    return tuple(kept), values


def _free_name(name: str, taken: frozenset[str]) -> str:
    """One that no value of the brand's own has: its links must go on meaning that one."""
    names = (name, *(f"{name}_{place}" for place in range(len(taken))))
    return next(free for free in names if free not in taken)


def _without_person(url: str, naming: _Naming, own: frozenset[str]) -> str | None:
    """What is left of a URL that names the person, which may be nothing; None when it does not name them."""
    origin = _ORIGIN.match(url)
    if origin is None:
        return None
    if naming(origin[0]):
        return ""
    rest = url[origin.end() :]
    pieces = _PIECE.sub(lambda piece: "{{x}}" if naming(piece[0]) or _is_one_of(piece[0], own) else piece[0], rest)
    if pieces == rest and not naming(url):
        return None
    left = without_values(origin[0] + pieces) or ""
    # An address that no single piece holds: `a/b@x.example` is one, too.
    return f"{origin[0]}/" if naming(left) else left


def _is_one_of(piece: str, own: frozenset[str]) -> bool:
    """Whether a path segment, a field's value or the fragment is exactly one of these; a part of it may be anything."""
    value = piece.partition("=")[2] or piece
    return bool(own) and any(one in own for text in (value, value.replace("+", " ")) for one in _readings(text))


def _naming(channel: Channel, address: str) -> _Naming:
    if channel is Channel.EMAIL:
        forms = _email_forms(address)
        return lambda text: any(form in reading for reading in _readings(text) for form in forms)
    digits = address.lstrip("+")
    if len(digits) < _MIN_DIGITS:
        return lambda text: False
    # As it is dialled at home, too: `0151…` for `+49151…`.
    if len(digits) > _MIN_DIGITS + _LONGEST_COUNTRY_CODE:
        digits = digits[_LONGEST_COUNTRY_CODE:]
    return lambda text: any(digits in _NOT_DIGITS.sub("", reading) for reading in _readings(text))


def _email_forms(address: str) -> frozenset[str]:
    """As people and programs write it into a URL: the domain in both spellings, the whole in base64."""
    local, _, domain = address.rpartition("@")
    spelt = {address, address.lower()}
    with suppress(ValueError):  # some names that live on in DNS are none by IDNA: then only what was written counts
        ascii_domain = normalise_domain(domain)
        spelt |= {f"{local}@{ascii_domain}", f"{local}@{idna.decode(ascii_domain)}"}
    encoded = [encode(form.encode()) for form in spelt for encode in (base64.b64encode, base64.urlsafe_b64encode)]
    return frozenset(map(_plain, spelt | {form.decode("ascii").rstrip("=") for form in encoded}))


def _readings(text: str) -> Iterator[str]:
    """The text as it stands, and decoded once, twice, …"""
    for _ in range(_MAX_DECODINGS):
        yield _plain(text)
        decoded = unquote(text)
        if decoded == text:
            return
        text = decoded


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _is_cut_within(label: str, channel: Channel, address: str) -> bool:
    """Whether a label that was cut to its length ends with the beginning of the address."""
    if len(label) < LABEL_LENGTH - 1:
        return False
    text, whole = _plain(label), _plain(address)
    if channel is Channel.SMS:
        text, whole = _NOT_DIGITS.sub("", text), whole.lstrip("+")
    return any(text.endswith(whole[:length]) for length in range(_MIN_CUT, len(whole)))
