"""What an event keeps of its client's address: what the brand's policy allows."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=8192)
def kept_address(client: str) -> str:
    """The client's network (/24 or /48), as the policy `prefix` keeps it; nothing when it is not an address."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return ""
    bits = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, bits), strict=False))
