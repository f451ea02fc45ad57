"""What is known of a hit besides its user agent, as bits of one integer: it is stored with the event, so that a later
rule set can be run over stored events without ever having kept a header or an address.

    bits 0-31   facts (the constants below)
    bits 32-47  fingerprint of the client's address, bits 48-62 of its network; 0 when the address is not known

The fingerprints are keyed, differ from message to message, and are too short to name anybody: they only say whether two
hits of one message came from one place (`app.ingest.sources`).
"""

from __future__ import annotations

HEADERS_SEEN = 1 << 0
"""Whoever wrote the record looked at the headers: without it the four bits below say nothing."""
HTTPS = 1 << 1
FETCH_METADATA = 1 << 2
"""`Sec-Fetch-*` was sent, and `Sec-Fetch-Dest` is not `empty`."""
ACCEPT_LANGUAGE = 1 << 3
PRIVACY = 1 << 4
"""`DNT: 1` or `Sec-GPC: 1`."""
NOT_GET = 1 << 5
PREFETCH = 1 << 6
TRAP = 1 << 7
"""The hidden link of the message."""
BLOCKED = 1 << 8
"""The destination was refused when it was clicked."""
GONE = 1 << 9
"""The personalised link had no values any more."""

PUBLIC_ADDRESS = 1 << 16
"""The client's address is one of the internet, so the bits below say something also when they are not set."""
RELAY = 1 << 17
"""Apple's egress: iCloud Private Relay, which Mail Privacy Protection uses too."""
MICROSOFT = 1 << 18
GOOGLE = 1 << 19
YAHOO = 1 << 20
CLOUD = 1 << 21
"""A hosting cloud, Microsoft's excepted."""
SCANNER = 1 << 22
"""A vendor of mail or web scanners."""

NETWORKS = PUBLIC_ADDRESS | RELAY | MICROSOFT | GOOGLE | YAHOO | CLOUD | SCANNER

ADDRESS_SHIFT = 32
NETWORK_SHIFT = 48


def address_of(signals: int) -> int:
    """0: not known."""
    return signals >> ADDRESS_SHIFT & 0xFFFF


def network_of(signals: int) -> int:
    """0: not known."""
    return signals >> NETWORK_SHIFT


def without_source(signals: int) -> int:
    """For a person who is erased."""
    return signals & ((1 << ADDRESS_SHIFT) - 1)
