"""The trace of a message: one small integer in Redis that saves looking into MongoDB, and decides nothing.

bits 0-3    what was there (`HIT`, …)
bits 4-11   how often a click was left: two at once see by it that they were two
bits 12-15  opens: which shares certainly have their first event; bits 16-19: of which a batch is about to store it
bits 20-23  clicks: the same; bits 24-27
bit  28     never there: in a claim it asks for an open by a person, where no counted one is known
"""

from __future__ import annotations

from app.models.event import EventKind, Place, Share

HIT = 1
CLICKED = 2
"""An event that a burst, a sweep or an echo can be made of."""
TAINTED = 4
"""A machine was certain there, or an event of the message has been corrected."""
BUSY = 8
"""It has more events than anybody looks back over."""
ONE_CLICK = 1 << 4
CLICKS = 0xFF << 4
LOOKED_AT = 0xFFF
"""What says whether somebody else was there meanwhile."""

_SHARES = {Share.HUMAN: 1, Share.PROXY: 2, Share.MACHINE: 4, Share.APPLE: 8}
_SHIFTS = {EventKind.OPENED: 12, EventKind.CLICKED: 20}
KNOWN = {(kind, share): bit << shift for kind, shift in _SHIFTS.items() for share, bit in _SHARES.items()}
"""(kind, share) → the bit that says: MongoDB has its first event."""
PERSON_OPENED = KNOWN[EventKind.OPENED, Share.HUMAN]
COUNTED_OPENS = PERSON_OPENED | KNOWN[EventKind.OPENED, Share.PROXY]


IMPLIES = 1 << 28


def claimed(known: int) -> int:
    """The bits that say: a batch is about to store it."""
    return known << 4


def known_bit(place: Place) -> int:
    """0 for kinds of which there is no trace."""
    return KNOWN.get((place[1], place[2]), 0)


_PLACES = {bit: where for where, bit in KNOWN.items()}


def place_of(message: int, known: int) -> Place:
    """The place of which a bit speaks."""
    return message, *_PLACES[known]
