"""The bytes of one POST: request line, headers and body, in one piece (webhooks.md, "Request")."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from app.lib.header_rules import check_header
from app.models.delivery import Delivery, Endpoint
from app.webhooks.body import delivery_body
from app.webhooks.signing import sign

VERSION = "0.1.0"
"""Goes into the user agent; a test compares it with pyproject.toml."""

# What `app.lib.http_url.check_endpoint_url` gives, so nothing is read two ways here. RFC 9112, sections 3.2 and 5.
_URL = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?([/?][\x21-\x7e]*)?")
_DEFAULT_PORTS = {"https": 443, "http": 80}


class Target(NamedTuple):
    """An endpoint's URL, taken apart."""

    scheme: str
    host: str
    """Without brackets."""
    port: int
    authority: str
    """For `host`."""
    path: str
    """With the query, exactly as saved: quoting again could change it."""


@lru_cache(maxsize=256)
def read_target(url: str) -> Target:
    """
    Raises:
        ValueError: not a URL in the form in which endpoints are saved.
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError("not an endpoint's URL")
    scheme, host, port, path = found.groups()
    number = int(port or _DEFAULT_PORTS[scheme])
    if not 1 <= number <= 65535:
        raise ValueError("not a port")
    path = path or "/"
    authority = host if number == _DEFAULT_PORTS[scheme] else f"{host}:{number}"
    return Target(scheme, host.strip("[]"), number, authority, path if path.startswith("/") else "/" + path)


def build_request(
    target: Target, endpoint: Endpoint, delivery: Delivery, keys: tuple[bytes, ...], now: datetime
) -> bytes:
    """One attempt's request, signed with the time it is made.

    Raises:
        ValueError: a key, an id or one of the brand's headers cannot be sent, or the delivery is not the endpoint's.
    """
    if (delivery.brand_id, delivery.endpoint_id) != (endpoint.brand_id, endpoint.id):
        raise ValueError("a delivery is signed for its own endpoint only")  # another brand's, above all
    body = delivery_body(delivery)
    timestamp = int(now.timestamp())
    own = "".join([_custom_header(name, value) for name, value in endpoint.headers]) if endpoint.headers else ""
    head = (
        f"POST {target.path} HTTP/1.1\r\n"
        f"host: {target.authority}\r\n"
        f"user-agent: Telltale-Webhooks/{VERSION}\r\n"
        "content-type: application/json; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\n"
        "accept-encoding: identity\r\n"
        f"webhook-id: {delivery.webhook_id}\r\n"
        f"webhook-timestamp: {timestamp}\r\n"
        f"webhook-signature: {sign(keys, delivery.webhook_id, timestamp, body)}\r\n"
        f"x-telltale-attempt: {delivery.attempts + 1}\r\n"
        f"x-telltale-brand: {delivery.brand_id}\r\n"
        f"{own}\r\n"
    )
    return head.encode("ascii") + body


def _custom_header(name: str, value: str) -> str:
    check_header(name, value)  # again: one line too many here would be a request of its own
    return f"{name}: {value}\r\n"
