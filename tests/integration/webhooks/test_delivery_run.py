"""Whole runs: deliveries in MongoDB, a server on loopback, and what a run makes of both."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database
from standardwebhooks import Webhook

from app.errors import StoreUnavailable
from app.lib import clock
from app.models.delivery import Attempt, Delivery, DeliveryState, Endpoint
from app.privacy.recipients import Vault
from app.storage.client import connect
from app.storage.deliveries import Deliveries
from app.webhooks.address_guard import AddressGuard
from app.webhooks.delivery import LEASE_EXTRA_SECONDS, Ledger, Policy, Run, deliver_endpoint
from app.webhooks.schedule import DELAYS
from app.webhooks.transport import Sender
from config.settings import Settings
from tests.integration.webhooks.raw_server import RawServer, Request, answer, drip, silence, wait_until

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
MakeEndpoint = Callable[..., Endpoint]
MakeDeliveries = Callable[..., list[Delivery]]
RunOnce = Callable[..., Run]


@pytest.fixture
def run_once(deliveries: Deliveries, guard: AddressGuard) -> RunOnce:
    def go(endpoint: Endpoint, *, ledger: Ledger = deliveries, **policy: Any) -> Run:
        async def run() -> Run:
            async with Sender(guard, allow_http=True, max_in_flight=endpoint.max_in_flight) as sender:
                return await deliver_endpoint(
                    endpoint,
                    ledger=ledger,
                    send=sender.send,
                    policy=Policy(**({"delay_factor": 0.001} | policy)),
                    rng=random.Random(1),
                )

        return asyncio.run(run())

    return go


def states(deliveries: Deliveries) -> Counter[DeliveryState]:
    return Counter({state: count for state, count in deliveries.counts_by_state().items() if count})


def test_everything_due_is_delivered_once_and_logged(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    made = make_deliveries(250)
    deliveries.insert_many(made)
    with RawServer(answer()) as server:
        run = run_once(make_endpoint(server.url))
        assert (run.outcomes, run.more, run.paused_seconds) == ({"delivered": 250}, False, 0.0)
        assert Counter(r.headers["webhook-id"] for r in server.requests) == Counter(d.webhook_id for d in made)
        assert server.connections <= 8
        assert run_once(make_endpoint(server.url)) == Run()
    record = deliveries.find("harbour", made[0].id)
    assert record is not None
    assert [(a.outcome, a.status, a.url, a.response) for a in record.log] == [("delivered", 200, server.url, "ok")]
    assert states(deliveries) == {DeliveryState.DELIVERED: 250}


def test_a_retry_has_the_same_id_and_bytes_and_a_fresh_signature(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    deliveries.insert_many(make_deliveries(1))
    with RawServer(answer("500 Not now"), answer()) as server:
        endpoint = make_endpoint(server.url)
        assert run_once(endpoint, delay_factor=0.25).outcomes == {"http_500": 1}
        assert run_once(endpoint) == Run(), "the retry is not due yet"
        wait_until(lambda: bool(run_once(endpoint).outcomes))
    first, second = server.requests
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert first.headers["webhook-timestamp"] < second.headers["webhook-timestamp"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert (first.headers["x-telltale-attempt"], second.headers["x-telltale-attempt"]) == ("1", "2")
    Webhook(SECRET).verify(second.body, second.headers)
    assert states(deliveries) == {DeliveryState.DELIVERED: 1}


def test_a_delivery_is_dead_after_ten_attempts(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    (made,) = make_deliveries(1)
    deliveries.insert_many([made])
    with RawServer(answer("500 No")) as server:
        endpoint = make_endpoint(server.url)

        def dead() -> bool:
            return run_once(endpoint, delay_factor=1e-7).dead == 1

        wait_until(dead)
        assert len(server.requests) == len(DELAYS) + 1 == 10
    record = deliveries.find("harbour", made.id)
    assert record is not None
    assert record.delivery.state is DeliveryState.DEAD
    assert [entry.number for entry in record.log] == list(range(1, 11))


def test_retry_after_lengthens_the_wait_and_rests_the_endpoint(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    deliveries.insert_many(make_deliveries(40))
    with RawServer(answer("429 Slow down", "Retry-After: 90\r\n")) as server:
        run = run_once(make_endpoint(server.url))
        assert 88 < run.paused_seconds <= 90
        assert len(server.requests) <= 8, "what is in flight, and no more"
        assert run_once(make_endpoint(server.url)).busy
    soonest = min(r.delivery.next_attempt_at for r in deliveries.list_for_brand("harbour", limit=50) if r.log)
    assert soonest > clock.now() + timedelta(seconds=85)


def test_a_dead_endpoint_costs_a_few_requests_and_then_rests(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    deliveries.insert_many(make_deliveries(300))
    with RawServer(answer("500 No")) as server:
        run = run_once(make_endpoint(server.url), delay_factor=1.0)
        assert run.paused_seconds >= 10
        assert 5 <= len(server.requests) <= 5 + 8
        assert (run.more, run_once(make_endpoint(server.url)).busy) == (False, True)
    records = deliveries.list_for_brand("harbour", limit=300)
    untouched = [record for record in records if not record.log]
    assert len(untouched) >= 287
    assert all(r.delivery.next_attempt_at <= clock.now() and not r.leased for r in untouched)
    assert deliveries.endpoints_due(clock.now(), 10) == []
    assert deliveries.endpoints_due(clock.now() + timedelta(minutes=5), 10) == [("harbour", "main")]


@pytest.mark.parametrize("script", [silence, drip(b"HTTP/1.1 200 OK\r\nX: ", b"a")])
def test_a_hanging_endpoint_holds_a_run_for_one_deadline(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce, script: Any
) -> None:
    deliveries.insert_many(make_deliveries(50))
    with RawServer(script) as server:
        began = time.monotonic()
        run = run_once(make_endpoint(server.url, deadline_seconds=0.5), delay_factor=1.0)
        assert time.monotonic() - began < 2.0
    assert run.outcomes == {"timeout": 8}
    assert run.paused_seconds >= 10


def test_a_flood_gives_way_after_its_time_budget(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    deliveries.insert_many(make_deliveries(60))
    with RawServer(answer()) as server:
        run = run_once(make_endpoint(server.url), claim_limit=5, budget_seconds=0.01)
        assert run.more
        assert run.outcomes["delivered"] < 60
        while run_once(make_endpoint(server.url), claim_limit=5, budget_seconds=0.01).more:
            pass
        assert len(server.requests) == 60


def test_no_more_requests_are_in_flight_than_the_endpoint_allows(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def count(server: RawServer, connection: socket.socket, request: Request) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1
        answer()(server, connection, request)

    deliveries.insert_many(make_deliveries(40))
    with RawServer(count) as server:
        run_once(make_endpoint(server.url, max_in_flight=3))
    assert most[0] == 3


def test_two_runs_at_once_send_nothing_twice(
    *,
    deliveries: Deliveries,
    make_endpoint: MakeEndpoint,
    make_deliveries: MakeDeliveries,
    run_once: RunOnce,
    settings: Settings,
    vault: Vault,
) -> None:
    made = make_deliveries(300)
    deliveries.insert_many(made)
    with RawServer(answer()) as server:
        endpoint = make_endpoint(server.url)
        runs: list[Run] = []

        def work() -> None:
            database = connect(settings)
            ledger = Deliveries(database, vault)
            # Without turns both work at once: the claims alone have to keep them apart.
            ledger.turns = _EveryoneHasATurn()  # type: ignore[assignment]
            runs.append(run_once(endpoint, ledger=ledger))
            database.client.close()

        workers = [threading.Thread(target=work) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        while run_once(endpoint).more:
            pass
        assert Counter(r.headers["webhook-id"] for r in server.requests) == Counter(d.webhook_id for d in made)
    assert states(deliveries) == {DeliveryState.DELIVERED: 300}


def test_a_second_task_for_the_same_endpoint_leaves_at_once(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    deliveries.insert_many(make_deliveries(1))
    with RawServer(silence) as server:
        endpoint = make_endpoint(server.url, deadline_seconds=1.0)
        first = threading.Thread(target=run_once, args=(endpoint,))
        first.start()
        wait_until(lambda: len(server.requests) == 1)
        began = time.monotonic()
        assert run_once(endpoint).busy
        assert time.monotonic() - began < 0.5
        first.join()


def test_a_worker_killed_after_the_post_sends_it_again_with_the_same_id(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, guard: AddressGuard
) -> None:
    deliveries.insert_many(make_deliveries(1))
    with RawServer(answer()) as server:
        endpoint = make_endpoint(server.url)

        async def post_what_is_claimed(token: str, at: datetime) -> list[Delivery]:
            claimed = deliveries.claim("harbour", "main", now=at, lease_seconds=45, limit=10, token=token)
            async with Sender(guard, allow_http=True) as sender:
                for delivery in claimed:
                    await sender.send(endpoint, delivery)
            return claimed

        # The first worker dies here: the POST was made, nothing was recorded.
        assert len(asyncio.run(post_what_is_claimed("killed", clock.now()))) == 1
        assert asyncio.run(post_what_is_claimed("too early", clock.now() + timedelta(seconds=44))) == []
        assert deliveries.endpoints_due(clock.now() + timedelta(seconds=46), 10) == [("harbour", "main")]
        assert len(asyncio.run(post_what_is_claimed("next", clock.now() + timedelta(seconds=46)))) == 1
    first, second = server.requests
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)


def test_results_are_stored_after_a_short_outage_of_the_store(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    deliveries.insert_many(make_deliveries(3))
    with RawServer(answer()) as server:
        ledger = _Faulty(deliveries, failures=2)
        assert run_once(make_endpoint(server.url), ledger=ledger).outcomes == {"delivered": 3}
        assert len(server.requests) == 3
    assert states(deliveries) == {DeliveryState.DELIVERED: 3}


def test_a_log_that_cannot_be_sealed_does_not_send_again(
    *,
    deliveries: Deliveries,
    make_endpoint: MakeEndpoint,
    make_deliveries: MakeDeliveries,
    run_once: RunOnce,
    database: Database[dict[str, Any]],
    vault: Vault,
) -> None:
    deliveries.insert_many(make_deliveries(2))
    with RawServer(answer()) as server:
        run_once(make_endpoint(server.url), ledger=Deliveries(database, _OpensOnly(vault)))
    assert states(deliveries) == {DeliveryState.DELIVERED: 2}
    assert [a.outcome for r in deliveries.list_for_brand("harbour", limit=5) for a in r.log] == ["delivered"] * 2


def test_the_lease_outlives_a_request_begun_at_the_last_moment() -> None:
    assert LEASE_EXTRA_SECONDS == 30.0


class _EveryoneHasATurn:
    def take(self, *key: str, **options: Any) -> bool:
        return True

    def keep(self, *key: str, **options: Any) -> bool:
        return True

    def end(self, *key: str, **options: Any) -> None:
        return None


class _Faulty:
    """The real store, which fails to record the first times it is asked."""

    def __init__(self, deliveries: Deliveries, failures: int) -> None:
        self._deliveries = deliveries
        self._failures = failures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._deliveries, name)

    def record_results(self, results: Sequence[tuple[Delivery, Attempt]], **options: Any) -> int:
        self._failures -= 1
        if self._failures >= 0:
            raise StoreUnavailable("test")
        return self._deliveries.record_results(results, **options)


class _OpensOnly:
    def __init__(self, vault: Vault) -> None:
        self.open_many, self.key_id_of = vault.open_many, vault.key_id_of

    def seal_under(self, purpose: str, items: Sequence[tuple[str, bytes, bytes]]) -> list[bytes | None]:
        raise StoreUnavailable("the brand's key cannot be read")
