"""Deliveries about a person who is erased: never sent, never read again, and in nobody's way."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from bson import encode
from pymongo.database import Database

from app.lib import clock
from app.models.delivery import Attempt, Delivery, DeliveryState, Endpoint, Result
from app.privacy.keyring import Keyring
from app.privacy.memory import MemoryRecipientKeys
from app.privacy.recipients import Vault
from app.storage.deliveries import Deliveries
from app.webhooks.address_guard import AddressGuard
from app.webhooks.delivery import Policy, Run, deliver_endpoint
from app.webhooks.transport import Sender
from tests.integration.webhooks.raw_server import RawServer, answer

MakeDeliveries = Callable[..., list[Delivery]]
ANN, BEN = (hashlib.sha256(name).hexdigest() for name in (b"ann", b"ben"))


@pytest.fixture
def ann(vault: Vault) -> bytes:
    """Ann's key id, as her messages carry it."""
    return vault.key_id_of(vault.seal_many("harbour", "message", [(ANN, b"")])[0])


@pytest.fixture
def ben(vault: Vault) -> bytes:
    return vault.key_id_of(vault.seal_many("harbour", "message", [(BEN, b"")])[0])


def claim(deliveries: Deliveries, token: str = "t1", limit: int = 100) -> list[Delivery]:
    return deliveries.claim("harbour", "main", now=clock.now(), lease_seconds=45, limit=limit, token=token)


def attempt() -> Attempt:
    return Attempt(1, clock.now(), 0.1, "http_500", 500, "https://hooks.harbour.example/in", "sorry, ann")


def test_bodies_and_answers_are_sealed_with_the_persons_key(
    deliveries: Deliveries, make_deliveries: MakeDeliveries, recipient_keys: MemoryRecipientKeys, ann: bytes
) -> None:
    (made,) = make_deliveries(1, key_id=ann)
    deliveries.insert_many([made])
    (claimed,) = claim(deliveries)
    assert (claimed.body, claimed.items[0].key_id) == (made.body, ann)
    failed = replace(claimed, attempts=1, next_attempt_at=clock.now())
    deliveries.record_results([Result(failed, attempt())], token="t1", now=clock.now())
    record = deliveries.find("harbour", made.id)
    assert record is not None
    assert (record.delivery.body, record.log[0].response) == (made.body, "sorry, ann")
    recipient_keys.delete("harbour", ANN)
    record = deliveries.find("harbour", made.id)
    assert record is not None
    assert (record.delivery.body, record.log[0].response, record.log[0].outcome) == (b"", "", "http_500")


def test_an_erased_persons_delivery_is_closed_without_an_attempt_and_blocks_nobody(
    *,
    deliveries: Deliveries,
    make_deliveries: MakeDeliveries,
    recipient_keys: MemoryRecipientKeys,
    database: Database[dict[str, Any]],
    ann: bytes,
    ben: bytes,
) -> None:
    hers, his, nobodys = make_deliveries(2, key_id=ann), make_deliveries(2, key_id=ben), make_deliveries(2)
    deliveries.insert_many([*hers, *his, *nobodys])
    recipient_keys.delete("harbour", ANN)
    assert {d.id for d in claim(deliveries)} == {d.id for d in his + nobodys}
    for made in hers:
        record = deliveries.find("harbour", made.id)
        assert record is not None
        assert (record.delivery.state, record.closed) == (DeliveryState.DEAD, "recipient_erased")
        assert (record.delivery.attempts, record.log, record.leased) == (0, (), False)
        row = database["deliveries"].find_one({"_id": made.id}) or {}
        assert row["expire_at"] > clock.now() + timedelta(days=29)
        assert not {"body", "due_at", "token"} & set(row)
    assert claim(deliveries, "t2") == []
    assert {r.delivery.id for r in deliveries.list_for_brand("harbour", limit=9, state=DeliveryState.DEAD)} == {
        d.id for d in hers
    }


def test_a_long_row_of_erased_deliveries_is_passed_in_one_claim(
    deliveries: Deliveries, make_deliveries: MakeDeliveries, recipient_keys: MemoryRecipientKeys, ann: bytes
) -> None:
    deliveries.insert_many(make_deliveries(25, key_id=ann))
    (last,) = make_deliveries(1)
    deliveries.insert_many([last])
    recipient_keys.delete("harbour", ANN)
    assert [d.id for d in claim(deliveries, limit=5)] == [last.id]


def test_a_delivery_planned_before_the_erase_and_stored_after_it_is_never_readable(
    *,
    deliveries: Deliveries,
    make_deliveries: MakeDeliveries,
    recipient_keys: MemoryRecipientKeys,
    database: Database[dict[str, Any]],
    ann: bytes,
) -> None:
    (made,) = make_deliveries(1, key_id=ann)
    recipient_keys.delete("harbour", ANN)
    assert deliveries.insert_many([made]) == 1
    assert deliveries.insert_many([made]) == 0
    assert claim(deliveries) == []
    record = deliveries.find("harbour", made.id)
    assert record is not None
    assert (record.delivery.state, record.closed) == (DeliveryState.DEAD, "recipient_erased")
    assert recipient_keys.find_by_hash("harbour", [ANN]) == []
    assert made.body not in encode(database["deliveries"].find_one({}) or {})


def test_an_answer_that_comes_after_the_erase_is_recorded_without_its_text(
    deliveries: Deliveries, make_deliveries: MakeDeliveries, recipient_keys: MemoryRecipientKeys, ann: bytes
) -> None:
    (made,) = make_deliveries(1, key_id=ann)
    deliveries.insert_many([made])
    (claimed,) = claim(deliveries)
    recipient_keys.delete("harbour", ANN)
    done = replace(claimed, state=DeliveryState.DELIVERED, attempts=1)
    assert deliveries.record_results([Result(done, attempt())], token="t1", now=clock.now()) == 1
    record = deliveries.find("harbour", made.id)
    assert record is not None
    assert (record.delivery.state, record.log[0].status, record.log[0].response) == (DeliveryState.DELIVERED, 500, "")


def test_a_broken_row_beside_an_erased_one_closes_neither_more_nor_less(
    *,
    deliveries: Deliveries,
    make_deliveries: MakeDeliveries,
    recipient_keys: MemoryRecipientKeys,
    database: Database[dict[str, Any]],
    ann: bytes,
    ben: bytes,
) -> None:
    (hers,), (his,), (broken,) = (make_deliveries(1, key_id=key) for key in (ann, ben, ben))
    deliveries.insert_many([hers, his, broken])
    recipient_keys.delete("harbour", ANN)
    database["deliveries"].update_one({"_id": broken.id}, {"$set": {"body": b"broken"}})
    assert [d.id for d in claim(deliveries)] == [his.id]
    closed = {row["_id"]: row["closed"] for row in database["deliveries"].find({"state": "dead"})}
    assert closed == {hers.id: "recipient_erased", broken.id: "unreadable"}


def test_a_run_sends_what_is_left_and_ends_quietly(
    *,
    deliveries: Deliveries,
    make_endpoint: Callable[..., Endpoint],
    make_deliveries: MakeDeliveries,
    recipient_keys: MemoryRecipientKeys,
    guard: AddressGuard,
    ann: bytes,
    ben: bytes,
) -> None:
    hers, his = make_deliveries(30, key_id=ann), make_deliveries(30, key_id=ben)
    deliveries.insert_many([each for pair in zip(hers, his, strict=True) for each in pair])
    recipient_keys.delete("harbour", ANN)

    async def run(url: str) -> Run:
        async with Sender(guard, allow_http=True) as sender:
            policy = Policy(claim_limit=10)
            return await deliver_endpoint(
                make_endpoint(url), ledger=deliveries, send=sender.send, policy=policy, rng=random.Random(1)
            )

    with RawServer(answer()) as server:
        done = asyncio.run(run(server.url))
        assert (done.outcomes, done.more, done.paused_seconds) == ({"delivered": 30}, False, 0.0)
        assert {request.headers["webhook-id"] for request in server.requests} == {d.webhook_id for d in his}


def test_what_the_brands_key_seals_is_forgotten_by_event(
    deliveries: Deliveries, make_deliveries: MakeDeliveries, database: Database[dict[str, Any]]
) -> None:
    made = make_deliveries(4)
    foreign = make_deliveries(1, brand_id="meadow")
    deliveries.insert_many(made + foreign)
    claimed = claim(deliveries, limit=1)
    done = replace(claimed[0], state=DeliveryState.DELIVERED, attempts=1)
    deliveries.record_results([Result(done, attempt())], token="t1", now=clock.now())
    assert deliveries.forget("harbour", [made[0].webhook_id, made[1].webhook_id, foreign[0].webhook_id]) == 2
    assert deliveries.forget("harbour", []) == 0
    rows = {row["_id"]: row for row in database["deliveries"].find({})}
    assert [("body" in rows[d.id], rows[d.id]["state"]) for d in (*made[:3], *foreign)] == [
        (False, "delivered"),
        (False, "dead"),
        (True, "pending"),
        (True, "pending"),
    ]
    assert len(claim(deliveries, "t2")) == 2


def test_rows_of_before_persons_had_keys_are_delivered(
    deliveries: Deliveries, make_deliveries: MakeDeliveries, database: Database[dict[str, Any]], keyring: Keyring
) -> None:
    (made,) = make_deliveries(1)
    deliveries.insert_many([made])
    old = {"$set": {"body": keyring.seal("harbour", "delivery", made.body)}, "$unset": {"kn": ""}}
    database["deliveries"].update_one({"_id": made.id}, old)
    assert deliveries.count_under("harbour", 1) == 1
    (claimed,) = claim(deliveries)
    assert (claimed.body, claimed.items[0].key_id) == (made.body, b"")


def test_only_rows_under_the_brands_key_need_it(
    deliveries: Deliveries, make_deliveries: MakeDeliveries, ann: bytes
) -> None:
    deliveries.insert_many([*make_deliveries(3, key_id=ann), *make_deliveries(2), *make_deliveries(1, brand_id="b")])
    assert [deliveries.count_under("harbour", number) for number in (1, 2)] == [2, 2]
    assert deliveries.count_under("nobody", 1) == 0
