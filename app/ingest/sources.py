"""Whether two hits of one message came from one place: keyed fingerprints of the client's address and network.

They are made with the message's number, so nobody can be followed from message to message, and have 16 and 15 bits, so
that thousands of addresses share each: who has the key and one message still names nobody. An IPv6 client is its
household, a /64, which takes new addresses all the time; a network is a /24 or a /48.
"""

from __future__ import annotations

import hashlib
import ipaddress
from socket import AF_INET, inet_pton


class Sources:
    """Args:
    key: the deployment's secret; another one is derived from it.
    """

    def __init__(self, key: bytes) -> None:
        self._keyed = hashlib.blake2b(key=hashlib.blake2b(b"telltale source", key=key).digest(), digest_size=6)

    def of(self, client: str, message: int) -> tuple[int, int]:
        """Fingerprints of a client's address (16 bits) and network (15 bits) for a message; (0, 0): no address."""
        try:
            packed = inet_pton(AF_INET, client)
            network, place = packed[:3], packed[3]
        except (OSError, ValueError):
            found = _place(client)
            if found is None:
                return 0, 0
            network, place = found
        digest = self._keyed.copy()
        digest.update(network + message.to_bytes(8, "big"))
        # One digest for both: where in its network a client is turns into a number by two others that nobody knows.
        number = int.from_bytes(digest.digest(), "big")
        return ((number >> 16) + place * (number >> 32 | 1)) & 0xFFFF or 1, number & 0x7FFF or 1


def _place(client: str) -> tuple[bytes, int] | None:
    """The network of an address, and where in it the client is: of IPv6 its household."""
    try:
        address = ipaddress.IPv6Address(client)
    except ValueError:
        return None
    if address.ipv4_mapped is not None:
        packed = address.ipv4_mapped.packed
        return packed[:3], packed[3]
    return address.packed[:6], int.from_bytes(address.packed[6:8], "big")
