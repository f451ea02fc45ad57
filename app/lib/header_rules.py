"""Which request headers a brand may add to its webhooks, checked when they are saved (webhooks.md, "Request")."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_HEADERS = 20
MAX_NAME_LENGTH = 64
MAX_VALUE_LENGTH = 4096
MAX_TOTAL_LENGTH = 8192
"""Names and values together: many servers take no more than this for all of a request's headers."""

# No underscore: CGI and WSGI give `webhook_id` and `webhook-id` the same name, so one could stand for the other.
_NAME = re.compile(r"[A-Za-z0-9-]+")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_RESERVED = frozenset(
    {
        *("host", "connection", "transfer-encoding", "user-agent", "cookie"),
        # What else says how a message is framed, answered or passed on, by RFC 9110, sections 7.6 and 10.1.
        *("te", "trailer", "upgrade", "keep-alive", "expect", "accept-encoding", "http2-settings"),
    }
)
_RESERVED_PREFIXES = ("content-", "webhook-", "x-telltale-", "proxy-")


def check_header(name: str, value: str) -> None:
    """Whether a brand may have this header sent.

    Raises:
        ValueError: one sentence for a person that never quotes the value, which may be a credential.
    """
    if not 1 <= len(name) <= MAX_NAME_LENGTH or not _NAME.fullmatch(name):
        raise ValueError(f"a header name must have 1 to {MAX_NAME_LENGTH} letters, digits and hyphens")
    lowered = name.lower()
    if lowered in _RESERVED or lowered.startswith(_RESERVED_PREFIXES):
        raise ValueError(f"the header {lowered} is set by Telltale or by HTTP itself")
    if not 1 <= len(value) <= MAX_VALUE_LENGTH:
        raise ValueError(f"the value of header {lowered} must have 1 to {MAX_VALUE_LENGTH} characters")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the value of header {lowered} must be visible ASCII without blanks at its ends")


def check_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """All headers of an endpoint, as `Endpoint.headers` keeps them: names in lower case, in the order given.

    Raises:
        ValueError: one sentence, as `check_header`; too many or too long together; a name twice.
    """
    kept: dict[str, str] = {}
    for name, value in headers:
        check_header(name, value)
        if name.lower() in kept:
            raise ValueError(f"the header {name.lower()} must not be given twice")
        kept[name.lower()] = value
        if len(kept) > MAX_HEADERS:
            raise ValueError(f"an endpoint must not have more than {MAX_HEADERS} headers")
    if sum(len(name) + len(value) for name, value in kept.items()) > MAX_TOTAL_LENGTH:
        raise ValueError(f"the headers of an endpoint must not be longer than {MAX_TOTAL_LENGTH} characters together")
    return tuple(kept.items())
