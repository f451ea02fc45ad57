"""Which endpoint hears of which event: events in, deliveries out. Ingest stores them and wakes the endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from app.lib.batch_ids import batch_id_of
from app.lib.ids import event_id_text
from app.models.block import Block
from app.models.delivery import Delivery, Endpoint, Item, PayloadMode
from app.models.event import PUBLIC_KINDS, Event, EventKind
from app.models.message import Message
from app.webhooks.payload import build_body

_ENVELOPE_BYTES = 256
"""Of a batch, around its events."""


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
    """Every event for every endpoint of its brand that wants the event's type: alone, or in batches where the endpoint
    takes them.

    Machine opens and clicks are told too; the body says `verdict` and `counted`, and the brand decides. The same events
    give the same delivery ids and bodies, so planning a batch of them again stores nothing twice.

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
    gathered: dict[tuple[str, str], tuple[Endpoint, list[Item]]] = {}
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
        message, message_id = messages.get(event.message), message_ids[event.message]
        bodies = _bodies(
            event,
            message,
            blocks[event.block],
            message_id,
            modes={endpoint.mode for endpoint in wanting},
            scope=scopes.get(event.brand_id),
        )
        key_id = b"" if message is None else message.key_id
        for endpoint in wanting:
            item = Item(event_id_text(event.id), event.kind.public_type, bodies[endpoint.mode], key_id)
            if endpoint.batching is None:
                planned.append(delivery_of(endpoint, (item,), now))
            else:
                gathered.setdefault((endpoint.brand_id, endpoint.id), (endpoint, []))[1].append(item)
    for endpoint, items in gathered.values():
        planned += _batches(endpoint, items, now)
    return planned


def delivery_of(endpoint: Endpoint, items: tuple[Item, ...], now: datetime) -> Delivery:
    """A delivery of an event, or of a batch where the endpoint takes batches."""
    delivery_id = f"{items[0].event_id}:{endpoint.id}"
    due_at, batch_id = now, ""
    if (batching := endpoint.limits) is not None:
        batch_id = batch_id_of(delivery_id, int(now.timestamp() * 1000))
        if len(items) < batching.max_events:
            due_at = now + timedelta(seconds=batching.max_wait_seconds)
    return Delivery(
        id=delivery_id,
        endpoint_id=endpoint.id,
        brand_id=endpoint.brand_id,
        items=items,
        created_at=now,
        next_attempt_at=due_at,
        batch_id=batch_id,
        strict=endpoint.strict,
    )


def wants(endpoint: Endpoint, kind: EventKind) -> bool:
    """Whether an endpoint asked for events of a kind; an empty set asks for all that brands are told."""
    return kind in PUBLIC_KINDS and (not endpoint.events or kind.public_type in endpoint.events)


def _bodies(
    event: Event, message: Message | None, block: Block, message_id: str, *, modes: set[PayloadMode], scope: str | None
) -> dict[PayloadMode, bytes]:
    # Where a sealed token led is as personal as its message, and without one no person's key seals it.
    told = event._replace(url="") if message is None or message.erased else event
    return {mode: build_body(told, message, block, message_id, mode, unsubscribe_scope=scope) for mode in modes}


def _batches(endpoint: Endpoint, items: Sequence[Item], now: datetime) -> Iterator[Delivery]:
    """In their order, as few as the endpoint's limits allow."""
    batching = endpoint.limits
    if batching is None:
        raise ValueError("an endpoint that takes no batches")
    some: list[Item] = []
    size = _ENVELOPE_BYTES
    for item in items:
        if some and (len(some) == batching.max_events or size + len(item.body) + 1 > batching.max_bytes):
            yield delivery_of(endpoint, tuple(some), now)
            some, size = [], _ENVELOPE_BYTES
        some.append(item)
        size += len(item.body) + 1
    if some:
        yield delivery_of(endpoint, tuple(some), now)
