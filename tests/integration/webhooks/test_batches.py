"""Batches: frozen before their first attempt, filled by what waits, divided when an endpoint refuses them."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pymongo.database import Database
from standardwebhooks import Webhook

from app.lib import clock
from app.models.delivery import Attempt, Batching, Delivery, DeliveryState, Endpoint, Item, Result
from app.privacy.keyring import Keyring
from app.privacy.memory import MemoryRecipientKeys
from app.privacy.recipients import Vault
from app.storage.deliveries import Deliveries
from app.webhooks.address_guard import AddressGuard
from app.webhooks.body import delivery_body
from app.webhooks.delivery import Policy, Run, deliver_endpoint
from app.webhooks.routing import delivery_of
from app.webhooks.settle import divided
from app.webhooks.transport import Sender
from tests.integration.webhooks.raw_server import RawServer, Request, answer

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
MakeEndpoint = Callable[..., Endpoint]
MakeDeliveries = Callable[..., list[Delivery]]
Batches = Callable[..., list[Delivery]]
RunOnce = Callable[..., Run]
BATCHING = Batching(max_events=4, max_wait_seconds=5)


@pytest.fixture
def batches(make_deliveries: MakeDeliveries, make_endpoint: MakeEndpoint) -> Callable[..., list[Delivery]]:
    """Rows as ingest plans them, each with so many events."""

    def make(*sizes: int, **changes: Any) -> list[Delivery]:
        endpoint = make_endpoint(batching=changes.pop("batching", BATCHING), **changes)
        return [
            delivery_of(endpoint, tuple(one.items[0] for one in make_deliveries(size)), clock.now()) for size in sizes
        ]

    return make


@pytest.fixture
def run_once(deliveries: Deliveries, guard: AddressGuard) -> Callable[..., Run]:
    def go(endpoint: Endpoint, **options: Any) -> Run:
        async def run() -> Run:
            async with Sender(guard, allow_http=True, max_in_flight=endpoint.max_in_flight) as sender:
                return await deliver_endpoint(
                    endpoint,
                    ledger=deliveries,
                    send=sender.send,
                    policy=Policy(delay_factor=0.001),
                    rng=random.Random(1),
                    **options,
                )

        return asyncio.run(run())

    return go


def claim(deliveries: Deliveries, token: str = "t1", **options: Any) -> list[Delivery]:
    given = {"now": clock.now(), "lease_seconds": 45.0, "limit": 100, "token": token, "batching": BATCHING} | options
    return deliveries.claim("harbour", "main", **given)


def events_of(requests: list[Request]) -> list[str]:
    return [event["id"] for request in requests for event in json.loads(request.body)["data"]["events"]]


def test_a_full_batch_waits_for_nobody_and_a_small_one_for_its_time(
    deliveries: Deliveries, batches: Callable[..., list[Delivery]]
) -> None:
    full, small = batches(4, 1)
    deliveries.insert_many([full, small])
    assert [one.id for one in claim(deliveries)] == [full.id, small.id], "who goes takes along what waits"
    deliveries.insert_many(batches(2))
    assert claim(deliveries) == []
    assert not deliveries.has_due("harbour", "main", now=clock.now(), batching=BATCHING)
    (late,) = claim(deliveries, now=clock.now() + timedelta(seconds=6))
    assert len(late.items) == 2


def test_small_ones_that_fill_a_batch_together_go_at_once_as_one_request(
    deliveries: Deliveries, batches: Callable[..., list[Delivery]], database: Database[dict[str, Any]]
) -> None:
    rows = batches(1, 2, 1)
    deliveries.insert_many(rows)
    assert deliveries.has_due("harbour", "main", now=clock.now(), batching=BATCHING)
    (claimed,) = claim(deliveries)
    assert [item.event_id for item in claimed.items] == [item.event_id for row in rows for item in row.items]
    assert claimed.webhook_id == rows[0].batch_id
    assert database["deliveries"].count_documents({}) == 1


def test_what_may_have_been_sent_takes_nobody_in_any_more(
    deliveries: Deliveries, batches: Callable[..., list[Delivery]]
) -> None:
    (first,) = batches(1)
    deliveries.insert_many([first])
    (killed,) = claim(deliveries, token="killed", now=clock.now() + timedelta(seconds=6), lease_seconds=0.0)
    deliveries.insert_many(batches(1))
    again = claim(deliveries, token="later", now=clock.now() + timedelta(seconds=20))
    assert len(again) == 2
    same = next(one for one in again if one.id == first.id)
    assert (same.webhook_id, delivery_body(same)) == (killed.webhook_id, delivery_body(killed))


def test_no_batch_is_larger_than_its_endpoint_allows(
    deliveries: Deliveries, batches: Callable[..., list[Delivery]]
) -> None:
    rows = batches(3, 3, 1, 3)
    deliveries.insert_many(rows)
    later = clock.now() + timedelta(seconds=6)
    claimed = claim(deliveries, now=later)
    assert sorted(len(one.items) for one in claimed) == [3, 3, 4]
    assert max(len(delivery_body(one)) for one in claimed) <= BATCHING.max_bytes
    small = replace(BATCHING, max_bytes=len(delivery_body(rows[0])) + 300)
    deliveries.insert_many(batches(3, 1))
    assert sorted(len(one.items) for one in claim(deliveries, token="t2", now=later, batching=small)) == [1, 3]


def test_a_run_sends_batches_that_verify_and_that_hold_every_event_once(
    deliveries: Deliveries,
    batches: Callable[..., list[Delivery]],
    make_endpoint: MakeEndpoint,
    run_once: Callable[..., Run],
) -> None:
    rows = batches(4, 4, 2, 2)
    deliveries.insert_many(rows)
    with RawServer(answer()) as server:
        run = run_once(make_endpoint(server.url, batching=BATCHING))
        assert (run.outcomes, run.more) == ({"delivered": 3}, False)
        assert sorted(events_of(server.requests)) == sorted(item.event_id for row in rows for item in row.items)
        for request in server.requests:
            Webhook(SECRET).verify(request.body, request.headers)
            assert json.loads(request.body)["id"] == request.headers["webhook-id"]


def test_a_poison_event_is_found_and_the_others_arrive(
    deliveries: Deliveries,
    batches: Callable[..., list[Delivery]],
    make_endpoint: MakeEndpoint,
    run_once: Callable[..., Run],
) -> None:
    large = Batching(max_events=32)
    (row,) = batches(32, batching=large)
    poison = row.items[13].event_id
    deliveries.insert_many([row])
    taken: list[str] = []

    def picky(server: RawServer, connection: socket.socket, request: Request) -> None:
        events = events_of([request])
        refused = poison in events
        taken.extend([] if refused else events)
        answer("413 Too much" if refused else "200 OK")(server, connection, request)

    with RawServer(picky) as server:
        endpoint = make_endpoint(server.url, batching=large)
        while run_once(endpoint).outcomes:
            pass
        ids = [request.headers["webhook-id"] for request in server.requests]
        assert len(server.requests) <= 2 * 5 + 1, "two requests for each halving"
    assert len(set(ids)) == len(ids), "each part has an id of its own"
    assert sorted(taken) == sorted(item.event_id for item in row.items if item.event_id != poison)
    (dead,) = deliveries.list_for_brand("harbour", limit=9, state=DeliveryState.DEAD)
    assert (dead.closed, [item.event_id for item in dead.delivery.items]) == ("too_large", [poison])


def test_dividing_twice_after_a_crash_stores_each_part_once(
    deliveries: Deliveries, batches: Callable[..., list[Delivery]], database: Database[dict[str, Any]]
) -> None:
    (row,) = batches(4)
    deliveries.insert_many([row])
    (claimed,) = claim(deliveries)
    attempt = Attempt(1, clock.now(), 0.1, "http_413", 413)
    result = divided(claimed, attempt, clock.now())
    deliveries.insert_many(result.parts)  # as far as a killed worker got
    assert deliveries.record_results([result], token="t1", now=clock.now()) == 1
    assert database["deliveries"].count_documents({}) == 2
    first, second = claim(deliveries, token="t2")
    assert [item.event_id for item in (*first.items, *second.items)] == [item.event_id for item in row.items]
    assert len({row.batch_id, first.batch_id, second.batch_id}) == 3


def test_an_erased_persons_event_leaves_the_batch_and_the_batch_gets_another_id(
    deliveries: Deliveries, vault: Vault, recipient_keys: MemoryRecipientKeys, batches: Callable[..., list[Delivery]]
) -> None:
    (row,) = batches(3)
    (sealed,) = vault.seal_many("harbour", "message", [("ab" * 32, b"ann")])
    key_id = vault.key_id_of(sealed)
    of_ann = row.items[1]._replace(key_id=key_id)
    deliveries.insert_many([replace(row, items=(row.items[0], of_ann, row.items[2]))])
    later = clock.now() + timedelta(seconds=6)
    (before,) = claim(deliveries, now=later, lease_seconds=0.0)
    assert recipient_keys.delete("harbour", "ab" * 32)
    (after,) = claim(deliveries, token="t2", now=later + timedelta(seconds=1))
    assert [item.event_id for item in after.items] == [row.items[0].event_id, row.items[2].event_id]
    assert after.webhook_id != before.webhook_id


def test_the_answers_to_a_batch_are_not_kept_because_they_may_speak_of_anybody(
    deliveries: Deliveries, batches: Callable[..., list[Delivery]]
) -> None:
    (row,) = batches(4)
    deliveries.insert_many([row])
    (claimed,) = claim(deliveries)
    attempt = Attempt(1, clock.now(), 0.1, "delivered", 200, "https://hooks.harbour.example/", "thanks MARK")
    done = replace(claimed, attempts=1, state=DeliveryState.DELIVERED)
    deliveries.record_results([Result(done, attempt)], token="t1", now=clock.now())
    record = deliveries.find("harbour", row.id)
    assert record is not None
    assert (record.log[0].url, record.log[0].response, record.events) == (attempt.url, "", 4)


def test_erasing_the_person_at_the_head_of_a_batch_leaves_the_others_events_waiting(
    deliveries: Deliveries, batches: Batches
) -> None:
    (row,) = batches(4)
    deliveries.insert_many([row])
    assert deliveries.forget("harbour", [row.items[0].event_id]) == 0
    (claimed,) = claim(deliveries)
    assert len(claimed.items) == 4, "what the brand's key seals is of no person"


def test_a_batch_counts_for_the_oldest_key_that_it_needs(
    deliveries: Deliveries, batches: Batches, keyring: Keyring
) -> None:
    assert keyring.refresh("harbour") == 1
    (row,) = batches(2)
    deliveries.insert_many([row])
    assert deliveries.count_under("harbour", 1) == 1


def test_planning_a_batch_again_stores_nothing_twice(
    deliveries: Deliveries, batches: Callable[..., list[Delivery]], make_endpoint: MakeEndpoint
) -> None:
    (row,) = batches(3)
    again = delivery_of(make_endpoint(batching=BATCHING), row.items, clock.now())
    assert deliveries.insert_many([row]) == 1
    assert deliveries.insert_many([again]) == 0


def test_an_item_has_no_body_in_its_text_form() -> None:
    assert "secret" not in repr(Item("evt_1", "message.opened", b"secret"))
