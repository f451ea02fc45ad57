"""The demo's webhook receiver over real HTTP: takes what is rightly signed, once, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime
from typing import Any

import aiohttp
from standardwebhooks import Webhook

from local.demo.receiver import Receiver

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()


def webhook(event_id: str = "evt_1", *, brand: str = "fernhalt", campaign: str = "demo-run1-news") -> bytes:
    data = {"brand_id": brand, "message_id": "msg_1", "campaign_id": campaign}
    return json.dumps({"id": event_id, "type": "message.sent", "data": data}).encode()


def signed(body: bytes, event_id: str = "evt_1", secret: str = SECRET) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, now, body.decode()),
        "content-type": "application/json; charset=utf-8",
    }


def post(receiver: Receiver, *requests: tuple[bytes, dict[str, str]], brand: str = "fernhalt") -> list[int]:
    """Start the receiver, send the requests one after the other, and give back the answers' status codes."""

    async def run() -> list[int]:
        await receiver.start()
        receiver.trust("fernhalt", SECRET)
        statuses = []
        timeout = aiohttp.ClientTimeout(total=10)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session:
                for body, headers in requests:
                    async with session.post(receiver.url(brand), data=body, headers=headers) as response:
                        statuses.append(response.status)
        finally:
            await receiver.stop()
        return statuses

    return asyncio.run(run())


def test_a_verified_webhook_is_taken_once_however_often_it_comes() -> None:
    receiver, body = Receiver("run1"), webhook()
    assert post(receiver, (body, signed(body)), (body, signed(body))) == [204, 204]
    assert list(receiver.received) == ["evt_1"]
    assert receiver.repeated == 1
    assert receiver.faults == []


def test_a_webhook_signed_with_another_secret_is_refused() -> None:
    receiver, body = Receiver("run1"), webhook()
    assert post(receiver, (body, signed(body, secret=OTHER_SECRET))) == [400]
    assert receiver.received == {}
    assert receiver.refused.total() == 1


def test_a_body_that_was_changed_on_the_way_or_has_no_signature_is_refused() -> None:
    receiver, body = Receiver("run1"), webhook()
    assert post(receiver, (body.replace(b"msg_1", b"msg_2"), signed(body)), (body, {})) == [400, 400]
    assert receiver.received == {}


def test_a_brand_whose_secret_is_not_known_yet_is_asked_to_come_again() -> None:
    receiver, body = Receiver("run1"), webhook()
    assert post(receiver, (body, signed(body)), brand="vexholm") == [503]


def test_the_same_id_with_another_body_is_a_fault() -> None:
    receiver = Receiver("run1")
    first, second = webhook(), webhook(campaign="demo-run1-offer")
    assert post(receiver, (first, signed(first)), (second, signed(second))) == [204, 204]
    assert len(receiver.faults) == 1


def test_another_brands_event_on_this_brands_endpoint_is_a_fault() -> None:
    receiver, body = Receiver("run1"), webhook(brand="vexholm")
    post(receiver, (body, signed(body)))
    assert len(receiver.faults) == 1


def test_events_of_other_runs_and_other_clients_are_put_aside() -> None:
    receiver = Receiver("run1")
    requests: list[tuple[bytes, dict[str, Any]]] = []
    for number, campaign in enumerate(("demo-run2-news", "spring", "demo-run1-news")):
        body = webhook(f"evt_{number}", campaign=campaign)
        requests.append((body, signed(body, f"evt_{number}")))
    assert post(receiver, *requests) == [204, 204, 204]
    assert list(receiver.received) == ["evt_2"]


def test_breaking_it_on_purpose_loses_one_webhook_or_trusts_another_secret() -> None:
    forgetful, distrustful = Receiver("run1", forget_one=True), Receiver("run1", wrong_secret_of="fernhalt")
    bodies = [webhook("evt_1"), webhook("evt_2")]
    requests = [(body, signed(body, f"evt_{number}")) for number, body in enumerate(bodies, start=1)]
    assert post(forgetful, *requests) == [204, 204]
    assert list(forgetful.received) == ["evt_2"]
    assert post(distrustful, *requests) == [400, 400]
