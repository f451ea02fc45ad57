"""Which addresses a webhook may be sent to, checked on the concrete address at every dial.

The check of an endpoint's URL when it is saved (`app.lib.http_url`) stops mistakes; this one stops attacks: whatever a
name resolves to at the moment of dialling, and literal addresses.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from app.lib.special_networks import GIVEN_OUT_V6, NOT_PUBLIC_V4, NOT_PUBLIC_V6

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

AddressInfo = tuple[Any, ...]
"""One answer of `socket.getaddrinfo`: family, kind, protocol, canonical name, address."""

DNS_SECONDS = 3.0

# webhooks.md, "Endpoint registration and address guard", point 3.
_DENIED_V4 = tuple(map(ipaddress.IPv4Network, NOT_PUBLIC_V4))
_ALLOWED_V6 = ipaddress.IPv6Network(GIVEN_OUT_V6)
_DENIED_V6 = tuple(map(ipaddress.IPv6Network, NOT_PUBLIC_V6))

# getaddrinfo cannot be cancelled. Threads of our own, never joined by an event loop, keep a name server that does not
# answer from holding a delivery run past its deadline.
_LOOKUP_THREADS = 32
_MOST_LOOKUPS = 512
_lookups = ThreadPoolExecutor(max_workers=_LOOKUP_THREADS, thread_name_prefix="webhook-dns")
_under_way: dict[str, Future[list[AddressInfo]]] = {}
"""By name: one whose server does not answer holds one thread, however often it is asked for."""


class BlockedAddress(OSError):
    """The address, or the name, may not be dialled."""


class AddressGuard:
    """The table of allowed and denied addresses.

    Args:
        allow_networks: what the operator opens although the table denies it (tests, an internal receiver).
        deny_networks: what is denied besides the table: our own public addresses. Wins over `allow_networks`.
        is_ours: whether a host name is one of our own tracking hosts. None of them is ever dialled, wherever it leads:
            a webhook sent there would make events of itself.
    """

    def __init__(
        self,
        allow_networks: Iterable[IpNetwork] = (),
        deny_networks: Iterable[IpNetwork] = (),
        is_ours: Callable[[str], bool] = lambda host: False,
    ) -> None:
        self._allow = tuple(allow_networks)
        self._deny = tuple(deny_networks)
        self._is_ours = is_ours

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

    def open_socket(self, address_info: AddressInfo) -> socket.socket:
        """The last gate before a connection, whoever found the address.

        Raises:
            BlockedAddress: instead of a socket.
        """
        family, kind, protocol, _, _ = self._checked(address_info)
        return socket.socket(family=family, type=kind, proto=protocol)

    async def resolve(self, host: str, port: int, timeout_seconds: float = DNS_SECONDS) -> list[AddressInfo]:
        """What a name leads to and may be dialled; also takes addresses in text form.

        Raises:
            BlockedAddress: the name resolves, and no address of it may be dialled; or the name is denied.
            OSError: the name does not resolve, or not in time.
        """
        if self._is_ours(host.lower().removesuffix(".")):
            raise BlockedAddress("blocked name")
        if (literal := _literal(host, port)) is not None:
            return [self._checked(literal)]
        try:
            async with asyncio.timeout(timeout_seconds):
                found = await asyncio.shield(asyncio.wrap_future(_lookup(host)))
        except TimeoutError as error:
            raise OSError("name lookup timed out") from error
        except UnicodeError as error:  # the idna codec, on labels that are too long
            raise OSError("not a host name") from error
        allowed = [_with_port(info, port) for info in found if self.allows(str(info[4][0]))]
        if not allowed:
            raise BlockedAddress("blocked address")
        return allowed

    def _checked(self, info: AddressInfo) -> AddressInfo:
        if info[0] not in (socket.AF_INET, socket.AF_INET6) or not self.allows(str(info[4][0])):
            raise BlockedAddress("blocked address")
        return info


def _literal(host: str, port: int) -> AddressInfo | None:
    """An address in text form needs no look-up, which would also fail for IPv6 on a machine without it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if address.version == 4:
        return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))
    return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port, 0, 0))


def _with_port(info: AddressInfo, port: int) -> AddressInfo:
    family, kind, protocol, name, (address, _, *rest) = info
    return (family, kind, protocol, name, (address, port, *rest))


def _lookup(host: str) -> Future[list[AddressInfo]]:
    """The look-up of a name that is under way, or a new one."""
    future = _under_way.get(host)
    if future is None:
        if len(_under_way) >= _MOST_LOOKUPS:
            raise OSError("too many name lookups")
        future = _under_way[host] = _lookups.submit(_look_up, host)
        future.add_done_callback(lambda _: _under_way.pop(host, None))
    return future


def _look_up(host: str) -> list[AddressInfo]:
    return list(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG))
