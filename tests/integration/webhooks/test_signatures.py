"""`standardwebhooks` verifies what arrives: every type, single and batch, with any text, while secrets are rotated."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.models.delivery import Delivery, Endpoint, Item, Secret
from app.webhooks.transport import Sender, Sent
from tests.integration.webhooks.posting import KEY, LOOPBACK, SECRET, make_delivery, make_endpoint
from tests.integration.webhooks.raw_server import RawServer, Request, answer

TYPES = [
    *("message.sent", "message.delivered", "message.opened", "message.clicked", "message.unsubscribed"),
    *("message.bounced", "message.complained", "message.reclassified", "endpoint.test", "endpoint.failing"),
    *("endpoint.disabled", "endpoint.recovered", "deliveries.exhausted"),
]
TEXT = 'Zoë \u2028 \U0001f468\u200d\U0001f469 مرحبا \\ " \x7f </script>'
NEW = bytes(range(32, 64))


def text_of(key: bytes) -> str:
    return "whsec_" + b64encode(key).decode()


def send_all(*pairs: tuple[Endpoint, Delivery]) -> list[Sent]:
    async def run() -> list[Sent]:
        async with Sender(LOOPBACK, allow_http=True) as sender:
            return [await sender.send(endpoint, delivery) for endpoint, delivery in pairs]

    return asyncio.run(run())


def item(event_type: str, *, ascii_only: bool, number: int) -> Item:
    body = json.dumps({"id": f"evt_{number}", "type": event_type, "data": {"text": TEXT}}, ensure_ascii=ascii_only)
    return Item(f"evt_{number}", event_type, body.encode())


def verify(request: Request, *keys: bytes) -> object:
    return [Webhook(text_of(key)).verify(request.body, request.headers) for key in keys][-1]


@pytest.mark.parametrize("ascii_only", [True, False])
def test_every_type_verifies_single_and_in_batches(ascii_only: bool) -> None:
    items = tuple(item(event_type, ascii_only=ascii_only, number=n) for n, event_type in enumerate(TYPES))
    singles = [make_delivery(items=(one,)) for one in items]
    batch = make_delivery(items=items, batch_id="bat_01JGFJM0000000000000000001")
    with RawServer(answer()) as server:
        endpoint = make_endpoint(server.url)
        send_all(*((endpoint, delivery) for delivery in [*singles, batch]))
        *one_by_one, together = [Webhook(SECRET).verify(request.body, request.headers) for request in server.requests]
    assert [body["type"] for body in one_by_one] == TYPES
    assert {body["data"]["text"] for body in one_by_one} == {TEXT}
    assert (together["type"], together["data"]["count"]) == ("events.batch", len(TYPES))
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
