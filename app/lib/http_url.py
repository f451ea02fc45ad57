"""Hosts and http(s) URLs that other people wrote: what we accept, read the same way a browser reads it.

No `urlsplit` here on purpose: it drops tabs, reads `good.test\\@evil.test` as host evil.test, accepts `%00`
in a host and calls `https:evil.test` a path. Everything two parsers could disagree on is refused first, then one
regular expression takes the rest apart. Which destinations a brand allows is `app.brands`; the address an endpoint's
name resolves to is checked at every dial, in `app.webhooks`.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

import idna

MAX_URL_LENGTH = 2048
"""Characters of an endpoint's URL; also what the `url` field of a webhook may carry."""
MAX_DESTINATION_LENGTH = 8192
"""Characters of a link's destination, as its author wrote it."""
MAX_LOCATION_LENGTH = 14_336
"""Characters of a destination in a `Location` header: one outside ASCII becomes up to twelve. nginx's
`uwsgi_buffer_size` holds this and the headers around it."""
ENDPOINT_PORTS = frozenset({443, 8443})

_URL = re.compile(r"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_PORT = re.compile(r"(.*?)(?::([0-9]{0,5}))?", re.DOTALL)
# The underscore is not a host name by RFC 952, but live web hosts have it and every browser resolves it.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# What browsers (WHATWG URL, "ends in a number") or getaddrinfo take for an IPv4 address: 127.1, 0x7f000001, 2130706433.
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_REFUSED_CATEGORIES = frozenset({"Cc", "Zl", "Zp", "Cs"})
# What stands in a header as it is; everything else of a path, query or fragment is percent-encoded there.
_NOT_VISIBLE_ASCII = re.compile(r"[^!-~]+")
_PRIVATE_SUFFIXES = ("local", "internal", "localhost", "svc", "arpa")

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class _Parts:
    scheme: str
    """In lower case."""
    authority: str
    """Host and port as written."""
    host: str
    """As written: IDNA not applied, brackets of an IPv6 address kept."""
    port: int | None
    rest: str
    """Path, query and fragment, as written."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A destination that has been read."""

    host: str
    """In lower-case A-label form without a trailing dot: what a brand's policy is asked about."""
    location: str
    """For a `Location` header: visible ASCII only, read by a browser as it reads the destination itself."""


def read_destination(url: str) -> Destination:
    """A link's destination, checked, and in the form that a header can carry.

    That form is what the author wrote, byte for byte, but for three things: blanks and characters outside ASCII are
    percent-encoded as UTF-8 behind the host, and a host with characters outside ASCII becomes A-labels (the equal URI
    of RFC 3987, section 3.1, with the host read as browsers do: UTS 46).

    Raises:
        ValueError: one sentence for a person, without the URL.
    """
    parts = _split(url, MAX_DESTINATION_LENGTH)
    host = normalise_domain(parts.host)
    if url.endswith(" "):
        # A browser drops it, an encoded one it does not drop.
        raise ValueError("must not end with a space")
    if url.isascii() and " " not in url:
        return Destination(host, url)
    authority = parts.authority if parts.authority.isascii() else _ascii_authority(parts, host)
    rest = _NOT_VISIBLE_ASCII.sub(lambda found: quote(found[0], safe=""), parts.rest)
    location = f"{url[: len(parts.scheme)]}://{authority}{rest}"
    if len(location) > MAX_LOCATION_LENGTH:
        raise ValueError(f"must not be longer than {MAX_LOCATION_LENGTH} characters once it is percent-encoded")
    return Destination(host, location)


def check_destination(url: str) -> str:
    """The host a link leads to, in lower-case A-label form without a trailing dot.

    The URL itself is kept by the caller byte for byte; this only says whether it may be kept.

    Raises:
        ValueError: one sentence for a person, without the URL.
    """
    return read_destination(url).host


def check_endpoint_url(
    url: str,
    *,
    allow_http: bool = False,
    extra_ports: Collection[int] = (),
    allow_networks: Iterable[IpNetwork] = (),
    is_ours: Callable[[str], bool] = lambda host: False,
) -> str:
    """A webhook URL in its normal form: scheme and host in lower case, host as A-labels, no default port, a path.

    Static checks only ("Endpoint registration and address guard", point 1, of the webhook contract). They stop
    mistakes; what stops an attack is the check of the concrete address at every dial.

    Args:
        allow_http: the operator allows plain HTTP (and then port 80).
        extra_ports: what the operator allows besides 443 and 8443.
        allow_networks: a literal address inside one of these is accepted, on any port: the operator opened it.
        is_ours: whether a host is one of our own; events sent there would come back as hits.

    Raises:
        ValueError: one sentence for a person, without the URL.
    """
    parts = _split(url, MAX_URL_LENGTH)
    if " " in url:
        raise ValueError("must not contain spaces")
    if parts.scheme != "https" and not allow_http:
        raise ValueError("must begin with https://")
    if "#" in parts.rest:
        raise ValueError("must not have a fragment (#…)")
    if not parts.rest.isascii():
        raise ValueError("must percent-encode characters outside ASCII after the host")
    default_port = 443 if parts.scheme == "https" else 80
    address = _literal_address(parts.host)
    if address is not None and any(address in network for network in allow_networks):
        host = f"[{address}]" if address.version == 6 else str(address)
    else:
        host = normalise_domain(parts.host)
        if is_ours(host):
            raise ValueError("must not be one of our own tracking hosts")
        if not is_public_domain(host):
            raise ValueError("must have a public host name (two labels or more, not a private suffix)")
        allowed = ENDPOINT_PORTS | set(extra_ports) | ({80} if allow_http else set())
        if (parts.port or default_port) not in allowed:
            raise ValueError("must use port 443 or 8443, or one the operator allows")
    port = "" if parts.port in (None, default_port) else f":{parts.port}"
    path = parts.rest if parts.rest.startswith("/") else "/" + parts.rest
    return f"{parts.scheme}://{host}{port}{path}"


@lru_cache(maxsize=4096)  # the recipients of a mailing share their domains, and each is asked for twice
def normalise_domain(text: str) -> str:
    """A domain name as lower-case A-labels without a trailing dot, as a browser looks it up (UTS 46, non-transitional).

    Raises:
        ValueError: one sentence: empty, an address instead of a name, or not a valid name.
    """
    if not text:
        raise ValueError("has no host")
    if text.startswith("["):
        raise ValueError("must have a domain name, not an IP address")
    name = _to_ascii(text).removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("has a host that is not a valid domain name")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        raise ValueError("must have a domain name, not an IP address or a number")
    return name


def is_public_domain(name: str) -> bool:
    """Whether a normalised name has two labels or more and no suffix that is private by convention."""
    labels = name.split(".")
    return len(labels) > 1 and labels[-1] not in _PRIVATE_SUFFIXES


def covers(domains: Collection[str], host: str) -> bool:
    """Whether one of the domains is the host or above it, at a label boundary. All normalised.

    Args:
        domains: a set when there are many.
    """
    at = 0
    while domains and at >= 0:
        if host[at:] in domains:
            return True
        dot = host.find(".", at)
        at = dot + 1 if dot >= 0 else -1
    return False


def host_of_header(text: str) -> str:
    """The host name in a Host header's text: port stripped, lower-cased, trailing dot removed. Never raises."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not (port.isdigit() or port == ""):
        host = text
    return host.lower().removesuffix(".")


def _split(url: str, max_length: int) -> _Parts:
    """Take a URL apart; blanks may stand in what follows the host."""
    if len(url) > max_length:
        raise ValueError(f"must not be longer than {max_length} characters")
    if "\\" in url:
        raise ValueError("must not contain a backslash")
    # The visible characters of ASCII need no look at what they are, and most URLs have no others.
    if not (url.isascii() and url.isprintable()) and any(
        unicodedata.category(char) in _REFUSED_CATEGORIES for char in url
    ):
        raise ValueError("must not contain line breaks or control characters")
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError("must begin with http:// or https://")
    scheme, authority, rest = found.groups()
    if "@" in authority:
        raise ValueError("must not contain a user name or password")
    if any(char.isspace() for char in authority):
        raise ValueError("must not contain spaces before the path")
    host, port = _split_port(authority)
    return _Parts(scheme=scheme.lower(), authority=authority, host=host, port=port, rest=rest)


def _ascii_authority(parts: _Parts, host: str) -> str:
    """Host and port with the host as A-labels; a trailing dot is kept, for it says something to a browser."""
    dot = "." if parts.host.endswith((".", "\u3002", "\uff0e", "\uff61")) else ""
    return host + dot + parts.authority[len(parts.host) :]


def _split_port(authority: str) -> tuple[str, int | None]:
    if authority.endswith("]"):
        return authority, None
    found = _PORT.fullmatch(authority)
    # The pattern matches everything; a port that is not digits stays in the host and is refused there.
    host, digits = found.groups() if found else (authority, None)
    if not digits:
        return host, None
    if not 1 <= int(digits) <= 65535:
        raise ValueError("has a port that does not exist")
    return host, int(digits)


def _literal_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if "%" in host:
        return None  # a scope id: `ipaddress` takes it, a URL's reader may take it for an escape
    try:
        return ipaddress.ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError:
        return None


def _to_ascii(text: str) -> str:
    """Unicode to A-labels; existing A-labels must be the canonical form of something."""
    try:
        if not text.isascii():
            # Soft hyphens, zero-width spaces and the like are dropped by look-up: `e<ZWSP>vil` would become `evil`.
            if any(not idna.uts46_remap(char, std3_rules=False) for char in text):
                raise ValueError("has a host with invisible characters")
            return idna.encode(text, uts46=True).decode("ascii").lower()
        lowered = text.lower()
        for label in lowered.split("."):
            if label.startswith("xn--"):
                idna.ulabel(label)
    except (idna.IDNAError, UnicodeError) as error:
        raise ValueError("has a host that is not a valid international domain name") from error
    return lowered
