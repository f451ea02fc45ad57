"""Whether two hits of one message came from one place: keyed fingerprints of the client's address and network.

They are made with the message's number, so nobody can be followed from message to message, and have 16 and 15 bits, so
that thousands of addresses share each: with the key and the database still nobody is named.
"""

from __future__ import annotations

import hashlib
import ipaddress
from functools import lru_cache

_V4_NETWORK_BYTES = 3
_V6_NETWORK_BYTES = 6
_V6_CLIENT_BYTES = 8
"""A household has a /64 and takes new addresses in it all the time."""


class Sources:
    """Args:
    key: the deployment's secret; another one is derived from it.
    """

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(b"telltale source", key=hashlib.sha256(key).digest(), digest_size=32).digest()

    def of(self, client: str, message: int) -> tuple[int, int]:
        """Fingerprints of a client's address (16 bits) and network (15 bits) for a message; (0, 0): no address."""
        place = _place(client)
        if place is None:
            return 0, 0
        address, network = place
        salt = message.to_bytes(8, "big")
        # One digest each of a few bytes; `or 1` keeps 0 for "not known".
        first = hashlib.blake2b(address + salt, key=self._key, digest_size=2).digest()
        second = hashlib.blake2b(network + salt, key=self._key, digest_size=2).digest()
        return int.from_bytes(first, "big") or 1, (int.from_bytes(second, "big") & 0x7FFF) or 1


@lru_cache(maxsize=8192)
def _place(client: str) -> tuple[bytes, bytes] | None:
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return address.packed[:_V6_CLIENT_BYTES], address.packed[:_V6_NETWORK_BYTES]
        address = address.ipv4_mapped
    return address.packed, address.packed[:_V4_NETWORK_BYTES]
