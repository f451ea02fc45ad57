"""Finds the blocks of stored events, for looking back at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from app.brands import BrandRegistry
from app.lib import clock
from app.models.block import FIRST_LINK_SLOT, Block, Channel
from app.models.event import Event
from app.storage.block_cache import BlockCache
from app.storage.messages import Messages
from app.tracking.codes import TOKEN_NUMBERS


class Needs(Protocol):
    """What it takes of `app.services.Services`."""

    @property
    def block_cache(self) -> BlockCache: ...
    @property
    def brands(self) -> BrandRegistry: ...
    @property
    def messages(self) -> Messages: ...


def blocks_of(services: Needs, events: Sequence[Event]) -> dict[int, Block]:
    """Blocks by start. A sealed token's message has none: one like it is made, of which no link is known."""
    starts = {event.block for event in events}
    found = {
        block.start: block
        for block in services.block_cache.find_many({start for start in starts if start < TOKEN_NUMBERS}).values()
    }
    tokens = {event.block: event for event in events if event.block >= TOKEN_NUMBERS}
    messages = services.messages.get_many(tokens)
    for start, event in tokens.items():
        message, brand = messages.get(start), services.brands.by_id(event.brand_id)
        found[start] = Block(
            start=start,
            count=1,
            stride=FIRST_LINK_SLOT,
            brand_id=event.brand_id,
            channel=Channel.EMAIL if message is None else message.channel,
            links=(),
            created_at=clock.from_ms(event.at_ms) if message is None else message.created_at,
            campaign_id=event.campaign_id,
            track_opens=message is not None and brand is not None and brand.track_opens,
        )
    return found
