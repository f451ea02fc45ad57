"""The use case behind `POST /v1/messages`: plan, store, render. `app.web.api.messages` speaks HTTP for it.

The three steps are separate so that nothing is stored by half: `planning.plan` finds every fault of the request
without touching a store; `store` may run any number of times with the same start; `render` only computes. Block
before messages, messages before any code leaves the process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from app.messages.content import write_url
from app.messages.draft import Addressee
from app.messages.planning import Plan
from app.models.block import FIRST_LINK_SLOT, Block, Channel, Slot
from app.models.message import Message
from app.tracking.codes import Codes
from app.tracking.list_unsubscribe import list_unsubscribe_headers
from app.tracking.trap import TRAP_SLOT
from app.tracking.urls import TrackingUrls


@dataclass(frozen=True, slots=True)
class Registered:
    """One recipient's message, ready to be sent by the brand."""

    id: str
    recipient_id: str | None
    html: str | None = field(repr=False)
    text: str | None = field(repr=False)
    mime: bytes | None = field(repr=False)
    pixel_url: str | None
    links: list[tuple[str, str]]
    """Where each leads, and its tracked URL."""
    unsubscribe_url: str
    headers: dict[str, str] | None
    """What the sender has to add; None for SMS, and when `mime` has them already."""


class BlockStore(Protocol):
    def insert(self, block: Block) -> None: ...


class MessageStore(Protocol):
    def insert_many(self, messages: Sequence[Message]) -> None: ...


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
        track_opens=planned.track_opens,
        track_clicks=planned.track_clicks,
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
                values={**addressee.values, **planned.values},
                campaign_id=draft.campaign_id,
                list_id=draft.list_id,
                job_source=draft.job_source,
            )
            for index, addressee in enumerate(draft.addressees)
            if addressee.recipient.address
        ]
    )


def render(planned: Plan, start: int, *, codes: Codes, urls: TrackingUrls, with_content: bool) -> list[Registered]:
    """What each recipient gets. Only after `store`: from here on codes are in the world."""
    slots, stride, host = planned.slots, planned.stride, planned.host
    firsts = range(start, start + planned.size, stride)
    texts = iter(codes.encode_many([first + slot for first in firsts for slot in slots]))
    write = [write_url(urls, slot) for slot in slots]
    told = list(enumerate(planned.told_urls, start=FIRST_LINK_SLOT))
    registered: list[Registered] = []
    for message_id, addressee in zip(codes.message_ids(firsts), planned.draft.addressees, strict=True):
        url_of = {slot: to_url(host, next(texts)) for slot, to_url in zip(slots, write, strict=True)}
        if planned.has_trap:
            url_of[TRAP_SLOT] = url_of[stride - 1]
        links = [(url, url_of[slot]) for slot, url in told]
        registered.append(_one(planned, message_id, addressee, url_of, links, with_content=with_content))
    return registered


def _one(
    planned: Plan,
    message_id: str,
    addressee: Addressee,
    url_of: dict[int, str],
    links: list[tuple[str, str]],
    *,
    with_content: bool,
) -> Registered:
    unsubscribe_url = url_of[Slot.UNSUBSCRIBE]
    headers = None
    if planned.draft.channel is Channel.EMAIL:
        headers = list_unsubscribe_headers(unsubscribe_url, planned.brand.unsubscribe.mailto)
    mime = planned.mime.render(url_of, headers or {}) if planned.mime and with_content else None
    if mime is not None and planned.mime is not None and planned.mime.accepts_headers:
        headers = None  # or a sender that does as told would send them twice
    return Registered(
        id=message_id,
        recipient_id=addressee.recipient.id,
        html=planned.html.render(url_of) if planned.html and with_content else None,
        text=planned.text.render(url_of) if planned.text and with_content else None,
        mime=mime,
        pixel_url=url_of[planned.pixel] if planned.pixel is not None else None,
        links=links,
        unsubscribe_url=unsubscribe_url,
        headers=headers,
    )
