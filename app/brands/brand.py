"""What a brand is once its file has been read and its secrets are resolved. The file's own shape is `schema`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from app.lib.http_url import covers, is_public_domain
from app.models.archive import ArchivePlace
from app.models.block import Channel
from app.models.bot_policy import DEFAULT_BOT_POLICY, BotPolicy
from app.models.delivery import Endpoint
from app.models.event import EventKind

ClientAddressPolicy = Literal["none", "prefix", "full"]
ErasedLinkPolicy = Literal["destination", "page"]
UnsubscribeScope = Literal["list", "brand"]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    mailto: str | None = None
    """Goes into `List-Unsubscribe` beside the URL."""
    scope: UnsubscribeScope = "list"
    """How far one click reaches: the list of the message, or everything of the brand."""


@dataclass(frozen=True, slots=True)
class Utm:
    """Campaign parameters added to every tracked link; `{campaign_id}`, `{list_id}`, `{job_source}` and `{channel}` are
    filled from the request, and a parameter whose value comes out empty is left out."""

    parameters: tuple[tuple[str, str], ...]
    """(`utm_…`, value), in this order."""
    replace: bool = False
    """Whether ours wins over one that the author wrote."""


@dataclass(frozen=True, slots=True)
class LinkPolicy:
    """What happens to the links of a brand's messages."""

    untracked_domains: frozenset[str] = frozenset()
    """Links to these (and below them) stay as they are: domains that open an app, for instance. A-labels."""
    app_domains: frozenset[str] = frozenset()
    """Links to these open an app only when they stay as they are: tracked, with a warning. A-labels."""
    protocol_relative: Literal["leave", "https"] = "leave"
    """`//host/path` stays as it is, or is tracked as https."""
    vml: bool = False
    """Whether the `href` of VML shapes in Outlook's conditional comments is rewritten like its twin `<a>`."""
    utm: Utm | None = None
    erased: ErasedLinkPolicy = "destination"
    """Where a personalised link leads once its person is erased: what is left without the values, or a page."""
    blocked_domains: frozenset[str] = frozenset()
    """Links to these (and below them) are refused at creation and answered with 410 afterwards. A-labels."""


@dataclass(frozen=True, slots=True)
class AppLinks:
    """What `/.well-known/` says on the brand's tracking hosts, so that its apps may open tracked links. JSON, ready."""

    apple: bytes | None = None
    """`apple-app-site-association`."""
    android: bytes | None = None
    """`assetlinks.json`."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days what is kept for. After `message_days` a message keeps only what an unsubscribe needs."""

    message_days: int = 395
    delivery_days: int = 30
    events: tuple[tuple[EventKind, int], ...] = tuple((kind, 395) for kind in EventKind)


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
    links: LinkPolicy = field(default_factory=LinkPolicy)
    stop_words: tuple[str, ...] = ()
    """Words that end SMS, besides the usual ones."""
    app_links: AppLinks = field(default_factory=AppLinks)
    retention: Retention = field(default_factory=Retention)
    bots: BotPolicy = DEFAULT_BOT_POLICY
    """How its hits are judged."""
    archive: ArchivePlace | None = None
    """Where its events are copied to every hour."""

    def allows_destination(self, host: str) -> bool:
        """Whether a link may lead to `host` (from `app.lib.http_url.check_destination`).

        A brand's own tracking hosts are never allowed: a tracked link to a tracked link can be a loop.
        """
        if host in self.tracking_hosts or covers(self.links.blocked_domains, host):
            return False
        return covers(self.destinations, host) if self.destinations else is_public_domain(host)
