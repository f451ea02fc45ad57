"""Which addresses a webhook may be sent to, checked on the concrete address at every dial.

The check of an endpoint's URL when it is saved (`app.lib.http_url`) stops mistakes; this one stops attacks: whatever a
name resolves to at the moment of dialling, and literal addresses, for which aiohttp asks no resolver.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from app.lib.special_networks import GIVEN_OUT_V6, NOT_PUBLIC_V4, NOT_PUBLIC_V6

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

DNS_SECONDS = 3.0

# webhooks.md, "Endpoint registration and address guard", point 3.
_DENIED_V4 = tuple(map(ipaddress.IPv4Network, NOT_PUBLIC_V4))
_ALLOWED_V6 = ipaddress.IPv6Network(GIVEN_OUT_V6)
_DENIED_V6 = tuple(map(ipaddress.IPv6Network, NOT_PUBLIC_V6))

# getaddrinfo cannot be cancelled. Threads of our own, never joined by an event loop, keep a name server that does not
# answer from holding a delivery run past its deadline.
_lookups = ThreadPoolExecutor(max_workers=16, thread_name_prefix="webhook-dns")


class BlockedAddress(OSError):
    """The address may not be dialled. An OSError, so that aiohttp closes what it has opened."""


class AddressGuard:
    """The table of allowed and denied addresses.

    Args:
        allow_networks: what the operator opens although the table denies it (tests, an internal receiver).
        deny_networks: what is denied besides the table: our own public addresses. Wins over `allow_networks`.
    """

    def __init__(self, allow_networks: Iterable[IpNetwork] = (), deny_networks: Iterable[IpNetwork] = ()) -> None:
        self._allow = tuple(allow_networks)
        self._deny = tuple(deny_networks)

    def allows(self, text: str) -> bool:
        """Whether an address in text form may be dialled; False for everything that is not an address."""
        try:
            address: IpAddress = ipaddress.ip_address(text)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if any(address in network for network in self._deny):
            return False
        if any(address in network for network in self._allow):
            return True
        if isinstance(address, ipaddress.IPv4Address):
            return not any(address in network for network in _DENIED_V4)
        return address in _ALLOWED_V6 and not any(address in network for network in _DENIED_V6)

    def open_socket(self, address_info: tuple[Any, ...]) -> socket.socket:
        """aiohttp's socket factory: the last gate before a connection, whoever found the address.

        Raises:
            BlockedAddress: instead of a socket.
        """
        family, kind, protocol, _, address = address_info
        if family not in (socket.AF_INET, socket.AF_INET6) or not self.allows(str(address[0])):
            raise BlockedAddress("blocked address")
        return socket.socket(family=family, type=kind, proto=protocol)


class GuardedResolver(AbstractResolver):
    """Looks a name up and gives aiohttp only the addresses that may be dialled."""

    def __init__(self, guard: AddressGuard, timeout_seconds: float = DNS_SECONDS) -> None:
        self._guard = guard
        self._timeout_seconds = timeout_seconds

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The allowed addresses of `host`.

        Raises:
            BlockedAddress: the name resolves, and no address of it may be dialled.
            OSError: the name does not resolve, or not in time.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                found = await loop.run_in_executor(_lookups, _look_up, host, port, family)
        except TimeoutError as error:
            raise OSError("name lookup timed out") from error
        except UnicodeError as error:  # the idna codec, on labels that are too long
            raise OSError("not a host name") from error
        allowed: list[ResolveResult] = [
            {
                "hostname": host,
                "host": str(address[0]),
                "port": port,
                "family": found_family,
                "proto": protocol,
                "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            }
            for found_family, _, protocol, _, address in found
            if self._guard.allows(str(address[0]))
        ]
        if not allowed:
            raise BlockedAddress("blocked address")
        return allowed

    async def close(self) -> None:
        """Nothing to close: the lookup threads belong to the process."""


def _look_up(host: str, port: int, family: int) -> list[tuple[Any, ...]]:
    return list(socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG))
