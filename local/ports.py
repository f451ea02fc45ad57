"""Ports on this machine: free ones, and whether somebody listens. `stack.py` remembers which copy uses which."""

from __future__ import annotations

import random
import socket

LOOPBACK = "127.0.0.1"

# Below the kernel's range for outgoing connections (32768 and up): a port that is remembered between two
# starts would otherwise be taken by chance by some client of the same machine.
_FIRST, _LAST = 20_000, 32_000


def free_port(avoid: frozenset[int] | set[int] = frozenset()) -> int:
    """A TCP port of the loopback address that nobody listens on now, and none of `avoid`."""
    for _ in range(200):
        port = random.randint(_FIRST, _LAST)  # noqa: S311 - spreads copies over the range, protects nothing
        if port not in avoid and port_is_free(port):
            return port
    raise RuntimeError("no free TCP port was found in 200 tries")


def port_is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that is still closing must not count as a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
