"""What the demo's brands send: the drafts for `POST /v1/messages`, and what a recipient finds in the answers.

Brands, addresses and numbers are fictional: `*.example` (RFC 2606), +44 7700 900000-900999 (reserved for drama).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

BRANDS = ("fernhalt", "nettlecombe", "vexholm")
"""Email and SMS, opens and clicks tracked, links to anywhere, and no endpoint in the sample file that never answers."""

EMAIL, SMS = "email", "sms"
PEOPLE = ("ann", "ben", "chloé", "dmitri", "eve", "farid", "grace", "hiro", "ines", "jo")


@dataclass(frozen=True, slots=True)
class Mailing:
    """Several messages of one brand with the same content, registered by one call or by one call each."""

    name: str
    channel: str
    count: int
    links: tuple[tuple[str, str], ...]
    """The path and query as the author wrote it, and as it must stand in `Location`."""
    pixels: tuple[str, ...] = ()
    one_by_one: bool = False


# An ampersand that HTML escapes, a fragment, an escape that must not be undone or doubled, letters outside ASCII.
_NEWS_LINKS = (
    ("/news?issue=7&page=2", "/news?issue=7&page=2"),
    ("/story/long%20read?from=a%2Bb#part-3", "/story/long%20read?from=a%2Bb#part-3"),
    ("/straße/käse", "/stra%C3%9Fe/k%C3%A4se"),
    ("/shop", "/shop"),
)
MAILINGS = (
    Mailing("news", EMAIL, 35, _NEWS_LINKS, ("footer",)),
    Mailing("offer", EMAIL, 22, (("/offer?code=SPRING", "/offer?code=SPRING"), ("/map", "/map")), ("header", "footer")),
    Mailing("receipt", EMAIL, 8, (("/orders/1001", "/orders/1001"),), ("footer",), one_by_one=True),
    Mailing("reminder", SMS, 25, (("/r?x=1", "/r?x=1"), ("/stop-info", "/stop-info"))),
    Mailing("code", SMS, 10, (("/login", "/login"),), one_by_one=True),
)
"""100 messages; each brand sends them all."""


class NotAsRegistered(RuntimeError):
    """The answer to a registration is not what a brand could send to people."""


@dataclass(frozen=True, slots=True)
class Link:
    id: str
    url: str
    """The tracked one."""
    location: str
    """Where it must lead."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as its recipient holds it."""

    id: str
    brand: str
    channel: str
    pixels: Mapping[str, str]
    """URL by position."""
    links: tuple[Link, ...]
    unsubscribe_url: str


def campaign(run: str, mailing: Mailing) -> str:
    """The same for all brands, so that an event which reached the wrong brand is found."""
    return f"demo-{run}-{mailing.name}"


def drafts(brand: str, run: str, mailing: Mailing) -> list[dict[str, Any]]:
    """The bodies of the calls that register a mailing."""
    recipients = [_recipient(mailing, run, index) for index in range(mailing.count)]
    groups = [[recipient] for recipient in recipients] if mailing.one_by_one else [recipients]
    common: dict[str, Any] = {
        "channel": mailing.channel,
        "content": _content(brand, mailing),
        "campaign_id": campaign(run, mailing),
        "list_id": mailing.name,
        "job_source": "demo",
        "metadata": {"run": run},
    }
    if mailing.channel == EMAIL:
        common["pixel"] = "both" if len(mailing.pixels) == 2 else mailing.pixels[0]
    return [{**common, "recipients": group} for group in groups]


def received(brand: str, mailing: Mailing, answer: Mapping[str, Any]) -> Message:
    """What the recipient of a registered message has in front of them, taken from the content itself.

    Raises:
        NotAsRegistered: content and answer do not fit together.
    """
    if mailing.channel == EMAIL:
        reader = _MailClient()
        reader.feed(answer["html"])
        reader.close()
        images, urls = reader.images, reader.links
        header = answer["headers"]["List-Unsubscribe"]
        found = re.findall(r"<(https?://[^>]+)>", header)
        _require(found == [answer["unsubscribe_url"]], "List-Unsubscribe")
        _require(answer["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click", "List-Unsubscribe-Post")
    else:
        images, urls = [], re.findall(r"https?://\S+", answer["text"])
    tracked = [link["tracked_url"] for link in answer["links"]]
    _require(urls == [*tracked, answer["unsubscribe_url"]], "links")
    _require(len(images) == len(mailing.pixels), "pixels")
    _require(len(tracked) == len(mailing.links), "links")
    base = _base(brand)
    links = tuple(
        Link(link["id"], link["tracked_url"], base + location)
        for link, (_, location) in zip(answer["links"], mailing.links, strict=True)
    )
    pixels = dict(zip(mailing.pixels, images, strict=True))
    return Message(answer["id"], brand, mailing.channel, pixels, links, answer["unsubscribe_url"])


class _MailClient(HTMLParser):
    """Finds what a mail client would load and what a person could press."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "img":
            self.images.append(given.get("src") or "")
        elif tag == "a":
            self.links.append(given.get("href") or "")


def _base(brand: str) -> str:
    return f"https://www.{brand}.example"


def _content(brand: str, mailing: Mailing) -> dict[str, str]:
    urls = [_base(brand) + authored for authored, _ in mailing.links]
    text = f"{brand}: " + " or ".join(urls) + " - leave: {{unsubscribe_url}}"
    if mailing.channel == SMS:
        return {"text": text}
    anchors = "\n".join(f'<p><a href="{url.replace("&", "&amp;")}">Look</a></p>' for url in urls)
    leave = '<p><a href="{{unsubscribe_url}}">Leave</a></p>'
    head = f"<!doctype html>\n<html><head><title>{mailing.name}</title></head>"
    return {"html": f"{head}\n<body>\n{anchors}\n{leave}\n</body></html>\n", "text": text}


def _recipient(mailing: Mailing, run: str, index: int) -> dict[str, Any]:
    person = PEOPLE[index % len(PEOPLE)]
    if mailing.channel == SMS:
        # Numbers are scarce: the two SMS mailings of a brand share none, runs and brands do.
        place = sum(other.count for other in MAILINGS[: MAILINGS.index(mailing)] if other.channel == SMS) + index
        address = f"+447700900{place:03d}"
    else:
        address = f"{person}.{mailing.name}.{index}.{run}@people.example"
    return {"address": address, "id": f"contact-{mailing.name}-{index}", "name": person.title()}


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise NotAsRegistered(f"the {what} in a registered message are not those of the answer")


def total(brands: Sequence[str] = BRANDS) -> int:
    """How many messages the demo registers."""
    return len(brands) * sum(mailing.count for mailing in MAILINGS)
