"""Which endpoint hears of which event: events in, deliveries out. Ingest stores them and wakes the endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from app.lib.ids import event_id_text
from app.models.block import Block
from app.models.delivery import Delivery, Endpoint, Item, PayloadMode
from app.models.event import PUBLIC_KINDS, Event, EventKind
from app.models.message import Message
from app.webhooks.payload import build_body


def plan_deliveries(
    events: Iterable[Event],
    *,
    messages: Mapping[int, Message],
    blocks: Mapping[int, Block],
    endpoints: Mapping[str, Sequence[Endpoint]],
    message_ids: Mapping[int, str],
    now: datetime,
    unsubscribe_scopes: Mapping[str, str] | None = None,
) -> list[Delivery]:
    """One delivery for every event and every endpoint of its brand that wants the event's type.

    Machine opens and clicks are told too; the body says `verdict` and `counted`, and the brand decides. The same events
    give the same delivery ids and bodies, so planning a batch again stores nothing twice.

    Args:
        messages: by message number (`event.message`); an event without one is told with ids only.
        blocks: by start (`event.block`); every event's block must be there.
        endpoints: by brand id: those of brands.yaml and those made through the API.
        message_ids: by message number: the public ones.
        now: becomes `created_at` and `next_attempt_at`.
        unsubscribe_scopes: `list` or `brand` by brand id (`Brand.unsubscribe.scope`).
    """
    scopes = unsubscribe_scopes or {}
    planned: list[Delivery] = []
    for event in events:
        if event.implied:
            continue  # it is derived from a click, which is told
        wanting = [
            endpoint
            for endpoint in endpoints.get(event.brand_id, ())
            # The mapping's key is not trusted alone: no brand's event may reach another brand's endpoint.
            if endpoint.brand_id == event.brand_id and wants(endpoint, event.kind)
        ]
        if not wanting:
            continue
        event_id, event_type = event_id_text(event.id), event.kind.public_type
        bodies: dict[PayloadMode, bytes] = {}
        message = messages.get(event.message)
        # Where a sealed token led is as personal as its message, and without one no person's key seals it.
        told = event._replace(url="") if message is None or message.erased else event
        for endpoint in wanting:
            body = bodies.get(endpoint.mode)
            if body is None:
                body = bodies[endpoint.mode] = build_body(
                    told,
                    message,
                    blocks[event.block],
                    message_ids[event.message],
                    endpoint.mode,
                    unsubscribe_scope=scopes.get(event.brand_id),
                )
            planned.append(
                Delivery(
                    id=f"{event_id}:{endpoint.id}",
                    endpoint_id=endpoint.id,
                    brand_id=event.brand_id,
                    items=(Item(event_id, event_type, body, b"" if message is None else message.key_id),),
                    created_at=now,
                    next_attempt_at=now,
                )
            )
    return planned


def wants(endpoint: Endpoint, kind: EventKind) -> bool:
    """Whether an endpoint asked for events of a kind; an empty set asks for all that brands are told."""
    return kind in PUBLIC_KINDS and (not endpoint.events or kind.public_type in endpoint.events)
