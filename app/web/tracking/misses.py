"""Who asks for codes that do not exist: thirty at once, then one a second, per client. Nobody else is slowed down.

Without it a flood of guesses would cost MongoDB one query each. A code whose block is in memory is never refused, so
people behind the same address (a carrier, a mail provider's proxy) hardly notice.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

_BURST = 30
_SECONDS_EACH = 1.0


class TooManyMisses(Exception):
    """This client has to wait.

    Args:
        seconds: how long, at least 1.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__("too many unknown codes")
        self.seconds = seconds


class Misses:
    """In this process's memory only: a deployment allows each client as many misses as it has processes times over.

    Args:
        kept: clients remembered at most; the one that was quiet the longest is forgotten first.
        monotonic: seconds.
    """

    def __init__(self, *, kept: int = 10_000, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._kept = kept
        self._monotonic = monotonic
        # Client → when it has paid for all its misses.
        self._paid_at: OrderedDict[str, float] = OrderedDict()

    def check(self, address: str) -> None:
        """Before a store is asked.

        Raises:
            TooManyMisses: this client has missed too often.
        """
        paid_at = self._paid_at.get(_client(address))
        if paid_at is None:
            return
        wait = paid_at - self._monotonic() - (_BURST - 1) * _SECONDS_EACH
        if wait > 0:
            raise TooManyMisses(max(1, math.ceil(wait)))

    def add(self, address: str) -> None:
        """A code was asked for that does not exist."""
        client, now = _client(address), self._monotonic()
        self._paid_at[client] = max(self._paid_at.pop(client, 0.0), now) + _SECONDS_EACH
        if len(self._paid_at) > self._kept:
            self._paid_at.popitem(last=False)


def _client(address: str) -> str:
    """An IPv6 client has a whole /64 to ask from."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return parsed.packed[:8].hex()
