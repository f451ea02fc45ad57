"""What an event keeps of its hit: the user agent, and of the client's address what the brand's policy allows."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from app.ingest.user_agents import USER_AGENT_CHARS


def kept_user_agent(user_agent: str) -> str:
    """As classification saw it, so that a later rule set can be run over stored events."""
    return user_agent[:USER_AGENT_CHARS]


@lru_cache(maxsize=8192)
def kept_address(client: str) -> str:
    """The client's network (/24 or /48), as the policy `prefix` keeps it; nothing when it is not an address."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return ""
    bits = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, bits), strict=False))
