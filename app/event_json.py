"""An event as `/v1` shows it. The webhook's form of it is made by `app.webhooks.payload`, with the same names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

from app.ingest.personal import PURPOSE
from app.lib import clock, ids
from app.models.block import Block, Slot, link_id
from app.models.event import Event, EventKind, Judgement
from app.tracking.codes import TOKEN_NUMBERS

if TYPE_CHECKING:
    from app.services import Services


def event_json(event: Event, services: Services) -> dict[str, Any]:
    return events_json([event], services)[0]


def events_json(events: Sequence[Event], services: Services) -> list[dict[str, Any]]:
    """Events in the order given, each block looked up once.

    Raises:
        StoreUnavailable: a block is not cached and MongoDB does not answer.
    """
    clicked = [event for event in events if EventKind.CLICKED in (event.kind, event.corrects_kind)]
    blocks = services.block_cache.find_many({event.block for event in clicked if event.block < TOKEN_NUMBERS})
    urls = _sealed_urls([event for event in clicked if event.block >= TOKEN_NUMBERS and event.personal], services)
    return [
        _one(
            event._replace(url=urls.get(event.id, "")),
            services.codes.message_id(event.message),
            blocks.get(event.block),
        )
        for event in events
    ]


def _sealed_urls(events: Sequence[Event], services: Services) -> dict[bytes, str]:
    """Event id → where its sealed token leads, of people who have not been erased."""
    if not events:
        return {}
    opened = services.vault.open_many(PURPOSE, [(event.brand_id, event.personal) for event in events])
    return {
        event.id: orjson.loads(text).get("url", "")
        for event, text in zip(events, opened, strict=True)
        if text is not None
    }


def _one(event: Event, message_id: str, block: Block | None) -> dict[str, Any]:
    optional = {
        "campaign_id": event.campaign_id,
        "user_agent": event.user_agent or None,
        "client": event.client or None,
        "method": event.method,
        "query": event.query or None,
        "implied": event.implied or None,
        **(_where(event, block) if event.corrects_kind is None else _corrected(event, event.corrects_kind, block)),
    }
    return {
        "id": ids.event_id_text(event.id),
        "type": event.kind.public_type,
        "timestamp": clock.rfc3339(clock.from_ms(event.at_ms)),
        "recorded_at": clock.rfc3339(clock.from_ms(event.recorded_ms)),
        "message_id": message_id,
        "first": event.first,
        **judgement_json(event.judgement),
        "rules_version": event.rules_version,
        **{name: value for name, value in optional.items() if value is not None},
    }


def judgement_json(judgement: Judgement) -> dict[str, Any]:
    return {
        "verdict": judgement.verdict.value,
        "counted": judgement.counted,
        "reasons": list(judgement.reasons),
    }


def _corrected(event: Event, kind: EventKind, block: Block | None) -> dict[str, Any]:
    """What a correction says of the event that it corrects."""
    return {
        "event_id": ids.event_id_text(event.corrects),
        "event_type": kind.public_type,
        "event_timestamp": clock.rfc3339(clock.from_ms(ids.ms_of(event.corrects))),
        **_where(event._replace(kind=kind), block),
        "before": None if event.before is None else judgement_json(event.before),
        "after": judgement_json(event.judgement),
    }


def _where(event: Event, block: Block | None) -> dict[str, str | None]:
    if event.kind is EventKind.OPENED:
        return {"position": "header" if event.slot == Slot.PIXEL_HEADER else "footer"}
    if event.kind is not EventKind.CLICKED:
        return {}
    link = block.link_at(event.slot) if block is not None else None
    return {"link_id": link_id(event.slot, link), "url": event.url or (link.shown if link else None)}
