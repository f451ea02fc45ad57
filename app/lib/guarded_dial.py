"""Connects to a brand's server: the guard is asked about the concrete address, and the connection goes to that one."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LookupTimeout
from functools import lru_cache
from typing import Protocol

from app.lib.bounded_socket import BoundedSocket

DNS_SECONDS = 3.0
CONNECT_SECONDS = 5.0
_MAX_ADDRESSES = 4
"""Of one name, tried one after the other."""


class Guard(Protocol):
    """Which addresses may be dialled."""

    def allows(self, text: str) -> bool: ...


class BlockedHost(Exception):
    """Every address of the host is one that must not be dialled. Trying again is useless."""


def dial(host: str, port: int, *, guard: Guard, until: float, tls: ssl.SSLContext | None) -> BoundedSocket:
    """A connection to the first address of `host` that may be dialled and answers.

    Args:
        until: on `time.monotonic()`'s scale.
        tls: None: without. The certificate must be for `host`.

    Raises:
        BlockedHost: no address of it may be dialled.
        OSError: its name is not found, none of its addresses answers, or not in time.
    """
    try:
        found = _addresses(host, until)
    except (UnicodeError, LookupTimeout) as error:
        raise OSError(type(error).__name__) from error
    addresses = [address for address in found if guard.allows(address)]
    if not addresses:
        raise BlockedHost
    return _first_that_answers(addresses, host, port, until, tls)


def _first_that_answers(
    addresses: list[str], host: str, port: int, until: float, tls: ssl.SSLContext | None
) -> BoundedSocket:
    failure: OSError = TimeoutError()
    for address in addresses[:_MAX_ADDRESSES]:
        left = until - time.monotonic()
        if left <= 0:
            break
        try:
            return _connect(address, host, port, left, tls)
        except OSError as error:
            failure = error
    raise failure


def _connect(address: str, host: str, port: int, seconds: float, tls: ssl.SSLContext | None) -> BoundedSocket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    raw = socket.socket(family, socket.SOCK_STREAM)
    until = time.monotonic() + min(seconds, CONNECT_SECONDS)
    try:
        raw.settimeout(until - time.monotonic())
        raw.connect((address, port))
        # A window's last small frame must not wait for the acknowledgement of the one before.
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            raw = tls.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False)
            raw.settimeout(max(0.001, until - time.monotonic()))
            raw.do_handshake()  # one time limit for all of it, however slowly its bytes come
    except BaseException:
        raw.close()
        raise
    return BoundedSocket(raw, address)


def _addresses(host: str, until: float) -> list[str]:
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    seconds = max(0.0, min(DNS_SECONDS, until - time.monotonic()))
    found = _lookups(os.getpid()).submit(_look_up, host)
    try:
        return found.result(seconds)
    finally:
        found.cancel()


def _look_up(host: str) -> list[str]:
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(address[0]) for *_, address in answers))


@lru_cache(maxsize=1)
def _lookups(process_id: int) -> ThreadPoolExecutor:
    """Threads of the process: getaddrinfo cannot be cancelled, and a fork has none of its parent's threads."""
    return ThreadPoolExecutor(max_workers=16, thread_name_prefix=f"dial-dns-{process_id}")
