"""The use case behind `POST /v1/messages`: plan, store, render. `app.web.api.messages` speaks HTTP for it.

The three steps are separate so that nothing is stored by half: `plan` finds every fault of the request without
touching a store; `store` may run any number of times with the same start; `render` only computes. Block before
messages, messages before any code leaves the process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import orjson

from app.brands.brand import Brand
from app.errors import InvalidRequest, TooLarge
from app.messages.destinations import log_unread, refuse_forbidden, rules_of
from app.models.block import FIRST_LINK_SLOT, Block, Channel, Link, Slot
from app.models.message import Message, Recipient
from app.tracking.codes import Codes
from app.tracking.findings import Findings
from app.tracking.link_table import LinkTable
from app.tracking.list_unsubscribe import list_unsubscribe_headers
from app.tracking.rewrite_html import plan_html_or_keep
from app.tracking.rewrite_text import plan_text
from app.tracking.template import Template
from app.tracking.urls import TrackingUrls

MAX_CODES = 100_000
"""Codes in one answer. Making and writing them costs about 10 µs each, and a web worker's time is bounded."""
MAX_OUTPUT_BYTES = 32 * 1024 * 1024
_URL_CHARS = 60
"""What a tracked URL takes in an answer, roughly."""


@dataclass(frozen=True, slots=True)
class Addressee:
    recipient: Recipient
    metadata: dict[str, str] = field(default_factory=dict, repr=False)
    """The recipient's own and the shared metadata, merged."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a brand wants to have tracked. Its form has been checked; whether the brand may do it has not."""

    channel: Channel
    html: str | None = field(repr=False)
    text: str | None = field(repr=False)
    addressees: Sequence[Addressee]
    campaign_id: str | None = None
    list_id: str | None = None
    job_source: str | None = None
    header_pixel: bool | None = None
    """None: as the brand is set up."""
    footer_pixel: bool | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A request without a fault: what will be stored and how its content is filled, but for the numbers."""

    draft: Draft
    brand: Brand
    host: str
    links: tuple[Link, ...]
    html: Template | None
    text: Template | None
    pixel: Slot | None
    """The pixel whose URL is told to the caller."""
    warnings: tuple[dict[str, str | int], ...] = ()
    """What the author should look at (`app.tracking.findings`)."""

    @property
    def stride(self) -> int:
        return FIRST_LINK_SLOT + len(self.links)

    @property
    def size(self) -> int:
        """How many numbers it needs."""
        return len(self.draft.addressees) * self.stride

    @property
    def slots(self) -> tuple[int, ...]:
        """The slots that need a URL, of every recipient."""
        used = {int(Slot.UNSUBSCRIBE), *range(FIRST_LINK_SLOT, self.stride)}
        if self.pixel is not None:
            used.add(int(self.pixel))
        for template in (self.html, self.text):
            used |= template.slots if template else frozenset()
        return tuple(sorted(used))

    def fingerprint(self, urls: TrackingUrls) -> bytes:
        """Everything the answer follows from besides the request itself: equal bytes, equal answer."""
        links = [[link.destination, link.label] for link in self.links]
        mailto = self.brand.unsubscribe.mailto
        return orjson.dumps([urls.click(self.host, ""), mailto, self.slots, self.stride, links])


@dataclass(frozen=True, slots=True)
class Registered:
    """One recipient's message, ready to be sent by the brand."""

    id: str
    recipient_id: str | None
    html: str | None = field(repr=False)
    text: str | None = field(repr=False)
    pixel_url: str | None
    links: list[tuple[Link, str]]
    unsubscribe_url: str
    headers: dict[str, str] | None


class BlockStore(Protocol):
    def insert(self, block: Block) -> None: ...


class MessageStore(Protocol):
    def insert_many(self, messages: Sequence[Message]) -> None: ...


def plan(brand: Brand, draft: Draft, *, with_content: bool) -> Plan:
    """Everything that can be wrong with the request is found here.

    Args:
        with_content: whether the rewritten content will be rendered, which bounds recipients times content.

    Raises:
        InvalidRequest: channel or destination; TooLarge: too many codes, or too much to give back.
    """
    if draft.channel not in brand.channels:
        raise InvalidRequest("The brand does not use this channel.", code="channel_not_enabled", status=422)
    header, footer = _pixels(brand, draft)
    table, findings = LinkTable(), Findings()
    rules = rules_of(
        brand,
        draft.channel,
        campaign_id=draft.campaign_id,
        list_id=draft.list_id,
        job_source=draft.job_source,
    )
    html = text = None
    if draft.html is not None:
        html = plan_html_or_keep(draft.html, table, rules, findings, header_pixel=header, footer_pixel=footer)
        # A pixel that is there already, or html that is kept as it is: then there is none of ours to tell.
        header, footer = (slot in html.slots for slot in (Slot.PIXEL_HEADER, Slot.PIXEL_FOOTER))
    if draft.text is not None:
        text = plan_text(draft.text, table, rules, findings)
    refuse_forbidden(findings)
    log_unread(brand, findings)
    host = brand.sms_host if draft.channel is Channel.SMS else brand.tracking_hosts[0]
    pixel = Slot.PIXEL_FOOTER if footer else Slot.PIXEL_HEADER if header else None
    planned = Plan(draft, brand, host, table.links, html, text, pixel, tuple(findings.warnings()))
    _check_size(planned, with_content=with_content)
    return planned


def store(
    planned: Plan,
    start: int,
    created_at: datetime,
    *,
    blocks: BlockStore,
    messages: MessageStore,
    address_hash: Callable[[str, Channel, str], str],
) -> None:
    """Store block and messages; with the same arguments any number of times.

    Args:
        start: the first of `planned.size` reserved numbers.
        created_at: whole milliseconds.

    Raises:
        StoreUnavailable: perhaps a part is stored; calling again with the same start completes it.
    """
    draft, brand_id = planned.draft, planned.brand.id
    block = Block(
        start=start,
        count=len(draft.addressees),
        stride=planned.stride,
        brand_id=brand_id,
        channel=draft.channel,
        links=planned.links,
        created_at=created_at,
        campaign_id=draft.campaign_id,
        list_id=draft.list_id,
        job_source=draft.job_source,
    )
    blocks.insert(block)
    messages.insert_many(
        [
            Message(
                number=start + index * planned.stride,
                brand_id=brand_id,
                channel=draft.channel,
                recipient=addressee.recipient,
                address_hash=address_hash(brand_id, draft.channel, addressee.recipient.address),
                created_at=created_at,
                metadata=addressee.metadata,
                campaign_id=draft.campaign_id,
                list_id=draft.list_id,
                job_source=draft.job_source,
            )
            for index, addressee in enumerate(draft.addressees)
        ]
    )


def render(planned: Plan, start: int, *, codes: Codes, urls: TrackingUrls, with_content: bool) -> list[Registered]:
    """What each recipient gets. Only after `store`: from here on codes are in the world."""
    slots, stride, host = planned.slots, planned.stride, planned.host
    firsts = range(start, start + planned.size, stride)
    texts = iter(codes.encode_many([first + slot for first in firsts for slot in slots]))
    write = [_url_writer(urls, slot) for slot in slots]
    registered: list[Registered] = []
    for first, addressee in zip(firsts, planned.draft.addressees, strict=True):
        url_of = {slot: to_url(host, next(texts)) for slot, to_url in zip(slots, write, strict=True)}
        registered.append(_one(planned, codes.message_id(first), addressee, url_of, with_content))
    return registered


def _one(
    planned: Plan, message_id: str, addressee: Addressee, url_of: dict[int, str], with_content: bool
) -> Registered:
    unsubscribe_url = url_of[Slot.UNSUBSCRIBE]
    headers = None
    if planned.draft.channel is Channel.EMAIL:
        headers = list_unsubscribe_headers(unsubscribe_url, planned.brand.unsubscribe.mailto)
    return Registered(
        id=message_id,
        recipient_id=addressee.recipient.id,
        html=planned.html.render(url_of) if planned.html and with_content else None,
        text=planned.text.render(url_of) if planned.text and with_content else None,
        pixel_url=url_of[planned.pixel] if planned.pixel is not None else None,
        links=[(link, url_of[FIRST_LINK_SLOT + index]) for index, link in enumerate(planned.links)],
        unsubscribe_url=unsubscribe_url,
        headers=headers,
    )


def _url_writer(urls: TrackingUrls, slot: int) -> Callable[[str, str], str]:
    if slot in (Slot.PIXEL_HEADER, Slot.PIXEL_FOOTER):
        return urls.pixel
    return urls.unsubscribe if slot == Slot.UNSUBSCRIBE else urls.click


def _pixels(brand: Brand, draft: Draft) -> tuple[bool, bool]:
    if draft.channel is not Channel.EMAIL or not brand.track_opens:
        return False, False
    header = brand.header_pixel if draft.header_pixel is None else draft.header_pixel
    footer = brand.footer_pixel if draft.footer_pixel is None else draft.footer_pixel
    return header, footer


def _check_size(planned: Plan, *, with_content: bool) -> None:
    count = len(planned.draft.addressees)
    if count * len(planned.slots) > MAX_CODES:
        raise TooLarge(f"Recipients times links are above {MAX_CODES:,}; split the batch.", code="batch_too_large")
    links = sum(len(link.destination) + 2 * _URL_CHARS for link in planned.links)
    content = sum(
        len(text.encode()) + _URL_CHARS * len(planned.slots)
        for text in (planned.draft.html, planned.draft.text)
        if text is not None and with_content
    )
    if count * (links + content) > MAX_OUTPUT_BYTES:
        hint = 'ask for "return": "links" and rewrite the content yourself, or split' if with_content else "split"
        raise TooLarge(
            f"The answer would be larger than {MAX_OUTPUT_BYTES // 1024 // 1024} MiB; {hint} the batch.",
            code="response_too_large",
        )
