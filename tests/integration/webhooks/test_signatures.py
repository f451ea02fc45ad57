"""`standardwebhooks` verifies what arrives: every type, single and batch, with any text, while secrets are rotated."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.lib import clock, ids
from app.models.block import Block, Channel, Link
from app.models.delivery import Delivery, Endpoint, Item, PayloadMode, Secret
from app.models.endpoint_health import OPERATIONAL_TYPES
from app.models.event import FIRST, PUBLIC_KINDS, Event, EventKind, Judgement, Verdict
from app.models.message import Message, Recipient
from app.webhooks.operational import operational_item
from app.webhooks.payload import build_body
from app.webhooks.transport import Sender, Sent
from tests.integration.webhooks.posting import KEY, LOOPBACK, SECRET, make_delivery, make_endpoint
from tests.integration.webhooks.raw_server import RawServer, Request, answer

TEXT = 'Zoë \u2028 \U0001f468\u200d\U0001f469 مرحبا \\ " \x7f </script>'
NOW = datetime(2026, 1, 1, tzinfo=UTC)
BLOCK = Block(1000, 10, 6, "harbour", Channel.EMAIL, (Link("https://shop.example/ü"),), NOW)
MESSAGE = Message(
    1006, "harbour", Channel.EMAIL, Recipient("zoë@mail.example", TEXT, TEXT), "6f" * 32, NOW, metadata={TEXT: TEXT}
)
NEW = bytes(range(32, 64))
FULL = PayloadMode.FULL


def text_of(key: bytes) -> str:
    return "whsec_" + b64encode(key).decode()


def send_all(*pairs: tuple[Endpoint, Delivery]) -> list[Sent]:
    async def run() -> list[Sent]:
        async with Sender(LOOPBACK, allow_http=True) as sender:
            return [await sender.send(endpoint, delivery) for endpoint, delivery in pairs]

    return asyncio.run(run())


def told(kind: EventKind) -> Item:
    """An event of a message, as it is told in full."""
    hit, before = Judgement(Verdict.HUMAN, True, ("ok",)), Judgement(Verdict.MACHINE, False, ("link_burst",))
    event = Event(
        id=ids.new_id(clock.now_ms()),
        kind=kind,
        brand_id="harbour",
        message=1006,
        block=1000,
        slot=4 if kind in (EventKind.CLICKED, EventKind.RECLASSIFIED) else 0,
        at_ms=clock.now_ms(),
        recorded_ms=clock.now_ms(),
        judgement=hit,
        rank=FIRST,
        rules_version="7",
        user_agent=TEXT,
        client="192.0.2.0/24",
    )
    if kind is EventKind.RECLASSIFIED:
        event = event._replace(corrects=ids.new_id(clock.now_ms()), corrects_kind=EventKind.CLICKED, before=before)
    return Item(ids.event_id_text(event.id), kind.public_type, build_body(event, MESSAGE, BLOCK, "msg_7", FULL))


def any_other(event_type: str) -> Item:
    """A body that is not ours in form: characters outside ASCII as they are."""
    event_id = ids.event_id_text(ids.new_id(clock.now_ms()))
    body = {"id": event_id, "type": event_type, "data": {"text": TEXT}}
    return Item(event_id, event_type, json.dumps(body, ensure_ascii=False).encode())


def verify(request: Request, *keys: bytes) -> object:
    return [Webhook(text_of(key)).verify(request.body, request.headers) for key in keys][-1]


def test_every_type_verifies_single_and_in_a_batch() -> None:
    items = (
        *map(told, PUBLIC_KINDS),
        *(operational_item(event_type, "harbour", {"text": TEXT}, NOW) for event_type in sorted(OPERATIONAL_TYPES)),
        *map(any_other, ("message.delivered", "message.bounced", "message.complained")),
    )
    singles = [make_delivery(items=(one,)) for one in items]
    batch = make_delivery(items=items, batch_id="bat_01JGFJM0000000000000000001")
    with RawServer(answer()) as server:
        endpoint = make_endpoint(server.url)
        send_all(*((endpoint, delivery) for delivery in [*singles, batch]))
        *one_by_one, together = [Webhook(SECRET).verify(request.body, request.headers) for request in server.requests]
    assert [(body["type"], body["id"]) for body in one_by_one] == [(one.event_type, one.event_id) for one in items]
    assert all(json.dumps(TEXT) in json.dumps(body) for body in one_by_one)
    assert (together["type"], together["data"]["count"]) == ("events.batch", len(items))
    assert together["data"]["events"] == one_by_one
    assert [request.headers["webhook-id"] for request in server.requests] == [
        *(one.event_id for one in items),
        together["id"],
    ]


def test_a_rotation_is_felt_by_the_next_request_and_by_what_was_waiting() -> None:
    """Before, during (both, newest first) and after it, and after a revocation; the delivery is older than all."""
    now, delivery = datetime.now(UTC), make_delivery()
    overlap, over = now + timedelta(hours=24), now - timedelta(seconds=1)
    with RawServer(answer()) as server:
        before = make_endpoint(server.url)
        during = replace(before, secrets=(Secret(NEW), Secret(KEY, expires_at=overlap)))
        after = replace(before, secrets=(Secret(NEW), Secret(KEY, expires_at=over)))
        revoked = replace(before, secrets=(Secret(NEW),))
        send_all(*((endpoint, delivery) for endpoint in (before, during, after, revoked)))
    first, second, third, fourth = server.requests
    verify(first, KEY)
    verify(second, KEY, NEW)
    newest, space, oldest = second.headers["webhook-signature"].partition(" ")
    assert (space, newest.count("v1,"), oldest.count("v1,")) == (" ", 1, 1)
    Webhook(text_of(NEW)).verify(second.body, second.headers | {"webhook-signature": newest})
    for request in (third, fourth):
        verify(request, NEW)
        assert request.headers["webhook-signature"].count("v1,") == 1
        with pytest.raises(WebhookVerificationError):
            verify(request, KEY)
    assert len({(request.headers["webhook-id"], request.body) for request in server.requests}) == 1


def test_a_replay_has_the_id_by_which_a_consumer_knows_it() -> None:
    delivery = make_delivery()
    with RawServer(answer()) as server:
        send_all(*((make_endpoint(server.url), replace(delivery, attempts=n)) for n in (0, 7)))
    first, again = server.requests
    assert (first.headers["webhook-id"], first.body) == (again.headers["webhook-id"], again.body)
    assert (first.headers["x-telltale-attempt"], again.headers["x-telltale-attempt"]) == ("1", "8")


def test_another_brands_delivery_is_not_sent() -> None:
    with RawServer(answer()) as server:
        endpoint = make_endpoint(server.url, brand_id="meadow")
        batch = make_delivery(batch_id="bat_01JGFJM0000000000000000001")
        assert {sent.attempt.outcome for sent in send_all((endpoint, make_delivery()), (endpoint, batch))} == {
            "protocol"
        }
        assert server.connections == 0
