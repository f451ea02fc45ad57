"""Whether two hits of one message came from one place: keyed fingerprints of the client's address and network.

They are made with the message's number, so nobody can be followed from message to message, and have 16 and 15 bits, so
that thousands of addresses share each: who has the key and one message still names nobody. An IPv6 client is its
household, a /64, which takes new addresses all the time; a network is a /24 or a /48.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from app.models.signals import ADDRESS_SHIFT, NETWORK_SHIFT

_HOST_BITS = {4: 8, 6: 16}
"""Of an address, behind its network."""
_HOSTS = {family: (1 << bits) - 1 for family, bits in _HOST_BITS.items()}


class Sources:
    """Args:
    key: the deployment's secret; another one is derived from it.
    """

    def __init__(self, key: bytes) -> None:
        derived = hashlib.blake2b(b"telltale source", key=key, digest_size=32).digest()
        # ECB on single blocks is AES itself: a keyed function of sixteen bytes, in a third of a keyed hash's time.
        self._aes = Cipher(algorithms.AES(derived), modes.ECB()).encryptor()  # noqa: S305

    def of(self, clients: Sequence[tuple[int, int, int]]) -> list[int]:
        """Fingerprints of clients' addresses and networks for messages, at their places in `app.models.signals`.

        Args:
            clients: (4 or 6, the address or of IPv6 its upper 64 bits, message) of each; the first two as
                `app.ingest.networks.ranges.parse_address` answers them.
        """
        blocks = b"".join(
            [
                (family << 120 | (number >> _HOST_BITS[family]) << 64 | message).to_bytes(16, "big")
                for family, number, message in clients
            ]
        )
        # All at once: calling a cipher costs more than what it does.
        keyed = struct.unpack(f">{len(clients) * 2}Q", self._aes.update(blocks))[::2]
        return [
            _placed(found >> 16, number & _HOSTS[family])
            for found, (family, number, _) in zip(keyed, clients, strict=True)
        ]


def _placed(found: int, host: int) -> int:
    """One block is enough for both: where in its network a client is turns into a number by two others that nobody
    knows."""
    address = ((found >> 16) + host * (found >> 32 | 1)) & 0xFFFF or 1
    return address << ADDRESS_SHIFT | (found & 0x7FFF or 1) << NETWORK_SHIFT
