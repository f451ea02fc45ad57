"""What a brand is once its file has been read and its secrets are resolved. The file's own shape is `schema`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from app.lib.http_url import is_public_domain, is_same_or_subdomain
from app.models.block import Channel
from app.models.delivery import Endpoint

ClientAddressPolicy = Literal["none", "prefix"]
UnsubscribeScope = Literal["list", "brand"]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    mailto: str | None = None
    """Goes into `List-Unsubscribe` beside the URL."""
    scope: UnsubscribeScope = "list"
    """How far one click reaches: the list of the message, or everything of the brand."""


@dataclass(frozen=True, slots=True)
class Page:
    """What the unsubscribe page says. Plain text, to be escaped where it is shown."""

    title: str
    colour: str = "#1f4e79"
    """`#rrggbb`, lower case."""
    message: str = "Do you want to stop receiving these messages?"
    button: str = "Unsubscribe"
    done: str = "You are unsubscribed. You will not receive these messages any more."


@dataclass(frozen=True, slots=True)
class Brand:
    """One tenant."""

    id: str
    name: str
    channels: frozenset[Channel]
    tracking_hosts: tuple[str, ...]
    """Lower-case A-labels; the first is the default for new links."""
    sms_host: str
    """One of `tracking_hosts`."""
    page: Page
    destinations: tuple[str, ...] = ()
    """Allowed domains as lower-case A-labels; each covers its subdomains. Empty: every public domain."""
    header_pixel: bool = False
    footer_pixel: bool = True
    track_opens: bool = True
    track_clicks: bool = True
    metadata_keys: frozenset[str] = frozenset()
    """Query keys a pixel URL may carry in the clear."""
    client_address_policy: ClientAddressPolicy = "none"
    unsubscribe: Unsubscribe = field(default_factory=Unsubscribe)
    endpoints: tuple[Endpoint, ...] = ()
    retention_days: int = 395

    def allows_destination(self, host: str) -> bool:
        """Whether a link may lead to `host` (from `app.lib.http_url.check_destination`).

        A brand's own tracking hosts are never allowed: a tracked link to a tracked link can be a loop.
        """
        if host in self.tracking_hosts:
            return False
        if not self.destinations:
            return is_public_domain(host)
        return any(is_same_or_subdomain(host, domain) for domain in self.destinations)
