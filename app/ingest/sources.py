"""Whether two hits of one message came from one place: keyed fingerprints of the client's address and network.

They are made with the message's number, so nobody can be followed from message to message, and have 16 and 15 bits, so
that thousands of addresses share each: who has the key and one message still names nobody. An IPv6 client is its
household, a /64, which takes new addresses all the time; a network is a /24 or a /48.
"""

from __future__ import annotations

import hashlib


class Sources:
    """Args:
    key: the deployment's secret; another one is derived from it.
    """

    def __init__(self, key: bytes) -> None:
        self._keyed = hashlib.blake2b(key=hashlib.blake2b(b"telltale source", key=key).digest(), digest_size=6)

    def of(self, family: int, number: int, message: int) -> tuple[int, int]:
        """Fingerprints of a client's address (16 bits) and network (15 bits) for a message.

        Args:
            family: 4 or 6.
            number: the address, of IPv6 its upper 64 bits (`app.ingest.networks.ranges.parse_address`).
        """
        bits = 8 if family == 4 else 16
        digest = self._keyed.copy()
        digest.update((family << 120 | (number >> bits) << 64 | message).to_bytes(16, "big"))
        # One digest for both: where in its network a client is turns into a number by two others that nobody knows.
        found = int.from_bytes(digest.digest(), "big")
        place = number & ((1 << bits) - 1)
        return ((found >> 16) + place * (found >> 32 | 1)) & 0xFFFF or 1, found & 0x7FFF or 1
