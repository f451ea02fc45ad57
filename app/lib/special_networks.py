"""Networks that are nobody's on the internet, from IANA's special-purpose address registries.

`ipaddress.is_global` is not enough: NAT64 and 192.0.0.192 count as global there, 100.64/10 as neither.
"""

from __future__ import annotations

NOT_PUBLIC_V4 = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "240.0.0.0/4"),
)
GIVEN_OUT_V6 = "2000::/3"
"""Of IPv6 nothing outside it has been given out: neither ::/96, 64:ff9b::/96, 100::/64, 5f00::/16, fc00::/7, fe80::/10,
fec0::/10 nor ff00::/8 is in it."""
NOT_PUBLIC_V6 = ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
"""Inside `GIVEN_OUT_V6`."""
