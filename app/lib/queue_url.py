"""URLs of brands' message queues: what we accept, and what a URL says.

    amqps://USER:PASSWORD@HOST[:PORT]/VHOST?queue=NAME
    amqps://USER:PASSWORD@HOST[:PORT]/VHOST?exchange=NAME[&routing_key=KEY]
    sqs://KEY_ID:SECRET@REGION/ACCOUNT/NAME[.fifo]
    https://KEY_ID:SECRET@HOST/ACCOUNT/NAME[.fifo][?region=REGION]

Credentials stand in the URL, percent-encoded, because the URL as a whole is a secret (a reference in brands.yaml,
sealed when it came by the API). The address a broker's name resolves to is checked at every dial, in `app.queues`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote, unquote_to_bytes

from app.lib.http_url import MAX_URL_LENGTH, IpNetwork, is_public_domain, normalise_domain

_URL = re.compile(r"([a-z]+)://([^/?#@]+)@([^/?#@]+)(/[^?#]*)?(?:\?([^#]*))?", re.IGNORECASE)
# What a URL may consist of; a "%" always begins an escape, so that two readers cannot differ about it.
_VISIBLE = re.compile(r"(?:[!-$&-\[\]^-~]|%[0-9A-Fa-f]{2})+")
_PORT = re.compile(r"(.*?)(?::([0-9]{1,5}))?")
_SQS_NAME = re.compile(r"[A-Za-z0-9_-]{1,75}(?:\.fifo)?|[A-Za-z0-9_-]{76,80}")
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]{2,10}){1,3}-[0-9]{1,2}")
_AMAZON_HOST = re.compile(rf"sqs\.({_REGION.pattern})\.amazonaws\.com(?:\.cn)?")
_MAX_SHORT_STRING = 255
"""Bytes of a name in AMQP."""
_PLAIN = {"amqp": "amqps", "http": "https"}
_PORTS = {"amqps": (5671, 443), "amqp": (5672,), "https": (443, 8443), "http": (80,)}
"""The first is the default."""


class QueueKind(StrEnum):
    AMQP = "amqp"
    SQS = "sqs"


@dataclass(frozen=True, slots=True)
class QueueTarget:
    """A queue URL that has been read."""

    kind: QueueKind
    scheme: str
    """Of the connection: `amqps`, `amqp`, `https`, `http`."""
    host: str
    """As A-labels, or an address without brackets."""
    port: int
    user: str = field(repr=False)
    """Name of the user, or id of the access key."""
    password: str = field(repr=False)
    name: str
    """The AMQP queue, or the name of the SQS queue."""
    virtual_host: str = "/"
    exchange: str = ""
    """Empty: the default exchange, which hands a message to the queue of the routing key's name."""
    routing_key: str = ""
    """Empty with an exchange: every message's event type."""
    account: str = ""
    region: str = ""

    @property
    def encrypted(self) -> bool:
        return self.scheme not in _PLAIN

    @property
    def origin(self) -> str:
        """Scheme, host and port, without credentials and without the scheme's own port."""
        port = "" if self.port == _PORTS[self.scheme][0] else f":{self.port}"
        return f"{self.scheme}://{_bracketed(self.host)}{port}"

    @property
    def is_fifo(self) -> bool:
        return self.kind is QueueKind.SQS and self.name.endswith(".fifo")


def check_queue_url(
    text: str,
    *,
    allow_networks: Iterable[IpNetwork] = (),
    allow_plain: bool = False,
    extra_ports: Collection[int] = (),
) -> str:
    """A queue URL in its normal form: scheme and host in lower case, host as A-labels, no default port.

    Static checks only: they stop mistakes. What stops an attack is the check of the address at every dial.

    Args:
        allow_networks: a literal address inside one of these is accepted, on any port and also without TLS: the
            operator opened it.
        allow_plain: the operator allows connections without TLS everywhere.
        extra_ports: what the operator allows besides 5671, 443 and 8443 (5672 and 80 where plain is allowed).

    Raises:
        ValueError: one sentence for a person, without any part of the URL.
    """
    target = read_queue_url(text)
    if not _is_opened(target.host, allow_networks):
        if not target.encrypted and not allow_plain:
            raise ValueError("must begin with amqps://, sqs:// or https://")
        if not is_public_domain(normalise_domain(target.host)):
            raise ValueError("must have a public host name (two labels or more, not a private suffix)")
        if target.port not in {*_PORTS[target.scheme], *extra_ports}:
            raise ValueError("must use the usual port of its kind, or one the operator allows")
    return _normal_form(target)


def read_queue_url(text: str) -> QueueTarget:
    """Take a queue URL apart; says nothing about where it may lead.

    Raises:
        ValueError: one sentence for a person, without any part of the URL.
    """
    if len(text) > MAX_URL_LENGTH:
        raise ValueError(f"must not be longer than {MAX_URL_LENGTH} characters")
    found = _URL.fullmatch(text)
    if not _VISIBLE.fullmatch(text) or found is None:
        raise ValueError("must be a URL like amqps://user:password@host/vhost?queue=name, percent-encoded ASCII")
    scheme, userinfo, authority, path, query = found.groups(default="")
    user, colon, password = userinfo.partition(":")
    if not (user and colon and password) or ":" in password:
        raise ValueError("must carry a user name and a password (or key id and secret), percent-encoded")
    credentials = (_decoded(user), _decoded(password))
    options = _options(query)
    if scheme.lower() in ("amqp", "amqps"):
        target = _read_amqp(scheme.lower(), credentials, authority, path, options)
    elif scheme.lower() in ("sqs", "http", "https"):
        target = _read_sqs(scheme.lower(), credentials, authority, path, options)
    else:
        raise ValueError("must begin with amqps://, sqs:// or https://")
    if options:
        raise ValueError("has an option behind the question mark that is not known")
    return target


def _read_amqp(
    scheme: str, credentials: tuple[str, str], authority: str, path: str, options: dict[str, str]
) -> QueueTarget:
    host, port = _host_and_port(authority, _PORTS[scheme][0])
    virtual_host = _decoded(path[1:]) or "/"
    if "/" in path[1:]:
        raise ValueError("must percent-encode a slash in the name of its virtual host")
    queue, exchange = options.pop("queue", ""), options.pop("exchange", "")
    routing_key = options.pop("routing_key", "")
    if bool(queue) == bool(exchange) or (queue and routing_key):
        raise ValueError("must name either ?queue= or ?exchange= (and then perhaps &routing_key=)")
    if any(len(name.encode()) > _MAX_SHORT_STRING for name in (virtual_host, queue, exchange, routing_key)):
        raise ValueError(f"must not have a name longer than {_MAX_SHORT_STRING} bytes")
    user, password = credentials
    return QueueTarget(
        QueueKind.AMQP, scheme, host, port, user, password, queue, virtual_host, exchange, queue or routing_key
    )


def _read_sqs(
    scheme: str, credentials: tuple[str, str], authority: str, path: str, options: dict[str, str]
) -> QueueTarget:
    account, _, name = path[1:].partition("/")
    if not _ACCOUNT.fullmatch(account) or not _SQS_NAME.fullmatch(name):
        raise ValueError("must end with the 12 digits of the account and the name of the queue")
    if scheme == "sqs":
        region = authority.lower()
        host, port, scheme = _amazon_host(region), 443, "https"
    else:
        host, port = _host_and_port(authority, _PORTS[scheme][0])
        amazon = _AMAZON_HOST.fullmatch(host)
        region = options.pop("region", amazon[1] if amazon else "")
    if not _REGION.fullmatch(region):
        raise ValueError("must name a region: sqs://…@eu-west-1/…, or ?region= with other hosts")
    user, password = credentials
    return QueueTarget(QueueKind.SQS, scheme, host, port, user, password, name, account=account, region=region)


def _host_and_port(authority: str, default: int) -> tuple[str, int]:
    found = _PORT.fullmatch(authority)
    # The pattern matches everything; a port that is not digits stays in the host and is refused there.
    host, digits = found.groups() if found else (authority, None)
    port = int(digits) if digits else default
    if not 1 <= port <= 65535:
        raise ValueError("has a port that does not exist")
    if host.startswith("[") and host.endswith("]"):
        address = _literal_address(host[1:-1])
    else:
        address = None if ":" in host else _literal_address(host)
    return (str(address) if address else normalise_domain(host)), port


def _literal_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if "%" in host:
        return None  # a scope id: `ipaddress` takes it, a URL's reader may take it for an escape
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_opened(host: str, networks: Iterable[IpNetwork]) -> bool:
    address = _literal_address(host)
    return address is not None and any(address in network for network in networks)


def _options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in query.split("&") if query else ():
        key, equals, value = part.partition("=")
        if not equals or not value or key in options:
            raise ValueError("must have options like ?queue=name, each once")
        options[key] = _decoded(value)
    return options


def _decoded(text: str) -> str:
    try:
        decoded = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise ValueError("must percent-encode its names as UTF-8") from None  # the text of that error has the bytes
    if not decoded.isprintable():
        raise ValueError("must not contain control characters, not even percent-encoded")
    return decoded


def _normal_form(target: QueueTarget) -> str:
    credentials = f"{quote(target.user, safe='')}:{quote(target.password, safe='')}"
    place = target.origin.removeprefix(f"{target.scheme}://")
    if target.kind is QueueKind.SQS:
        if place == _amazon_host(target.region):
            return f"sqs://{credentials}@{target.region}/{target.account}/{target.name}"
        return f"{target.scheme}://{credentials}@{place}/{target.account}/{target.name}?region={target.region}"
    options = {"queue": target.name, "exchange": target.exchange, "routing_key": target.exchange and target.routing_key}
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in options.items() if value)
    return f"{target.scheme}://{credentials}@{place}/{quote(target.virtual_host, safe='')}?{query}"


def _amazon_host(region: str) -> str:
    return f"sqs.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
