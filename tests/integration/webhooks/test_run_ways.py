"""Which way a run goes: in order, through the brand's queue, slower, or not at all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.lib import clock
from app.models.delivery import Attempt, Delivery, DeliveryState, DisabledReason, Endpoint, Transport
from app.storage.deliveries import Deliveries
from app.webhooks.address_guard import AddressGuard
from app.webhooks.delivery import QUEUED, Policy, Run, deliver_endpoint
from app.webhooks.gate import Leave, OpenGate, Tally
from app.webhooks.transport import Sender
from tests.integration.webhooks.raw_server import RawServer, answer

MakeEndpoint = Callable[..., Endpoint]
MakeDeliveries = Callable[..., list[Delivery]]
RunOnce = Callable[..., Run]


class Queue:
    """A publisher that notes what it is given and confirms it, or says why not."""

    def __init__(self, outcome: str = QUEUED) -> None:
        self.outcome = outcome
        self.taken: list[tuple[str, str]] = []

    async def publish(self, endpoint: Endpoint, deliveries: Sequence[Delivery], reason: str) -> list[Attempt]:
        self.taken += [(delivery.webhook_id, reason) for delivery in deliveries]
        return [Attempt(delivery.attempts + 1, clock.now(), 0.01, self.outcome) for delivery in deliveries]


class Gatekeeper(OpenGate):
    """Says what a test wants it to say, and keeps what it is told."""

    def __init__(self, leave: Leave) -> None:
        self._leave = leave
        self.tallies: list[Tally] = []

    def leave(self, wanted: int, now: datetime) -> Leave:
        return self._leave

    def note(self, tally: Tally, now: datetime) -> None:
        self.tallies.append(tally)


@pytest.fixture
def run_once(deliveries: Deliveries, guard: AddressGuard) -> RunOnce:
    def go(endpoint: Endpoint, *, factor: float = 0.001, **options: Any) -> Run:
        async def run() -> Run:
            async with Sender(guard, allow_http=True, max_in_flight=endpoint.max_in_flight) as sender:
                return await deliver_endpoint(
                    endpoint,
                    ledger=deliveries,
                    send=sender.send,
                    policy=Policy(delay_factor=factor),
                    rng=random.Random(1),
                    **options,
                )

        return asyncio.run(run())

    return go


def test_events_in_order_go_one_by_one_and_stop_at_one_that_fails(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    made = [replace(one, strict=True) for one in make_deliveries(5)]
    deliveries.insert_many(reversed(made))
    with RawServer(answer(), answer(), answer("500 No"), answer()) as server:
        endpoint = make_endpoint(server.url, strict=True)
        assert run_once(endpoint, factor=1.0).outcomes == {"delivered": 2, "http_500": 1}
        assert run_once(endpoint, factor=1.0).outcomes == {}, "the first in line waits, and so do all behind it"
        assert [request.headers["webhook-id"] for request in server.requests] == [one.webhook_id for one in made[:3]]
        assert server.connections == 1


def test_the_line_moves_on_when_its_head_is_given_up(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    made = [replace(one, strict=True) for one in make_deliveries(3)]
    deliveries.insert_many(made)
    with RawServer(answer("413 Too much"), answer()) as server:
        run = run_once(make_endpoint(server.url, strict=True))
        assert (run.outcomes, run.dead) == ({"http_413": 1, "delivered": 2}, 1)
        assert [request.headers["webhook-id"] for request in server.requests] == [one.webhook_id for one in made]


def test_a_queue_takes_what_http_did_not_after_so_many_attempts(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    tried, fresh = make_deliveries(2)
    deliveries.insert_many([replace(tried, attempts=4), fresh])
    queue = Queue()
    with RawServer(answer()) as server:
        endpoint = make_endpoint(server.url, transport=Transport.HTTP_THEN_QUEUE, queue="amqps://q")
        assert run_once(endpoint, publish=queue.publish).outcomes == {"queued": 1, "delivered": 1}
        assert [request.headers["webhook-id"] for request in server.requests] == [fresh.webhook_id]
    assert queue.taken == [(tried.webhook_id, "attempts")]
    record = deliveries.find("harbour", tried.id)
    assert record is not None
    assert (record.delivery.state, record.log[-1].outcome) == (DeliveryState.QUEUED, "queued")


@pytest.mark.parametrize(
    ("leave", "disabled", "reason"),
    [
        (Leave(0, 60.0, open_since=clock.now() - timedelta(seconds=301)), False, "breaker"),
        (Leave(), True, "disabled"),
    ],
)
def test_a_queue_takes_everything_of_an_endpoint_that_has_been_away_for_long(
    *,
    deliveries: Deliveries,
    make_endpoint: MakeEndpoint,
    make_deliveries: MakeDeliveries,
    run_once: RunOnce,
    leave: Leave,
    disabled: bool,
    reason: str,
) -> None:
    made = make_deliveries(150)
    deliveries.insert_many(made)
    queue = Queue()
    with RawServer(answer()) as server:
        endpoint = make_endpoint(server.url, transport=Transport.HTTP_THEN_QUEUE, queue="amqps://q")
        run = run_once(endpoint, factor=1.0, publish=queue.publish, gate=Gatekeeper(leave), disabled=disabled)
        assert (run.outcomes, server.connections) == ({"queued": 150}, 0)
    assert queue.taken == [(one.webhook_id, reason) for one in made]


def test_a_breaker_that_opened_a_moment_ago_sends_nothing_anywhere(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    deliveries.insert_many(make_deliveries(3))
    queue = Queue()
    with RawServer(answer()) as server:
        endpoint = make_endpoint(server.url, transport=Transport.HTTP_THEN_QUEUE, queue="amqps://q")
        gate = Gatekeeper(Leave(0, 30.0, open_since=clock.now()))
        run = run_once(endpoint, factor=1.0, publish=queue.publish, gate=gate)
        assert (run, server.connections, queue.taken) == (Run(paused_seconds=30.0), 0, [])
    assert {record.delivery.attempts for record in deliveries.list_for_brand("harbour", limit=9)} == {0}


def test_a_probe_goes_over_http_however_long_the_breaker_has_been_open(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    deliveries.insert_many(make_deliveries(1))
    queue = Queue()
    with RawServer(answer()) as server:
        endpoint = make_endpoint(server.url, transport=Transport.HTTP_THEN_QUEUE, queue="amqps://q")
        gate = Gatekeeper(Leave(1, open_since=clock.now() - timedelta(hours=2)))
        assert run_once(endpoint, factor=1.0, publish=queue.publish, gate=gate).outcomes == {"delivered": 1}
    assert queue.taken == []


def test_what_a_queue_does_not_take_waits_and_is_never_given_up(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    (made,) = make_deliveries(1)
    deliveries.insert_many([replace(made, attempts=9, created_at=clock.now() - timedelta(days=9))])
    queue = Queue("queue_unavailable")
    endpoint = make_endpoint(transport=Transport.QUEUE, queue="amqps://q", url="")
    run = run_once(endpoint, publish=queue.publish)
    assert (run.outcomes, run.paused_seconds) == ({"queue_unavailable": 1}, 0.03)
    record = deliveries.find("harbour", made.id)
    assert record is not None
    assert (record.delivery.state, record.delivery.attempts) == (DeliveryState.PENDING, 9)
    assert record.log[-1].outcome == "queue_unavailable"


def test_what_a_queue_can_never_take_is_given_up_alone(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    deliveries.insert_many(make_deliveries(1))
    endpoint = make_endpoint(transport=Transport.QUEUE, queue="amqps://q", url="")
    run = run_once(endpoint, publish=Queue("queue_refused").publish)
    assert (run.dead, run.paused_seconds) == (1, 0.0)
    assert deliveries.list_for_brand("harbour", limit=9)[0].closed == "queue_refused"


def test_a_probe_is_one_request_and_a_limit_is_kept(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    deliveries.insert_many(make_deliveries(20))
    with RawServer(answer()) as server:
        endpoint = make_endpoint(server.url)

        class Once(Gatekeeper):
            def leave(self, wanted: int, now: datetime) -> Leave:
                given, self._leave = self._leave, Leave(0, 1.0)
                return given

        run = run_once(endpoint, gate=Once(Leave(1)))
        assert (len(server.requests), run.more) == (1, True)
        run = run_once(endpoint, gate=Once(Leave(7)))
        assert (len(server.requests), run.more) == (8, True)


def test_gone_ends_the_run_and_says_why_and_what_is_left_waits_to_be_parked(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    deliveries.insert_many(make_deliveries(30))
    gate = Gatekeeper(Leave())
    with RawServer(answer("410 Gone")) as server:
        run_once(make_endpoint(server.url, max_in_flight=1), gate=gate)
        assert len(server.requests) == 1
    assert gate.tallies[0].disabled is DisabledReason.GONE
    assert deliveries.park("harbour", "main", now=clock.now(), limit=20) == 20
    assert deliveries.park("harbour", "main", now=clock.now(), limit=20) == 10
    assert deliveries.counts_by_state()[DeliveryState.PARKED] == 30


def test_the_brand_is_told_of_lost_events_and_not_of_what_told_of_an_endpoint(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    lost, operational = make_deliveries(2)
    warning = operational.items[0]._replace(event_type="deliveries.exhausted")
    deliveries.insert_many([lost, replace(operational, items=(warning,))])
    gate = Gatekeeper(Leave())
    with RawServer(answer("413 Too much")) as server:
        run_once(make_endpoint(server.url), gate=gate)
    assert [(tally.dead, tally.lost) for tally in gate.tallies] == [(2, 1)]


def test_a_replay_sends_parked_and_delivered_ones_again_with_the_same_id_and_bytes(
    deliveries: Deliveries, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries, run_once: RunOnce
) -> None:
    made = make_deliveries(2)
    deliveries.insert_many(made)
    ids, now = [one.id for one in made], clock.now()
    with RawServer(answer()) as server:
        endpoint = make_endpoint(server.url)
        run_once(endpoint)
        assert deliveries.replay("harbour", ids, nonce="r1", due_at=now) == 2
        assert deliveries.replay("harbour", ids, nonce="r1", due_at=now) == 0, "they wait already"
        run_once(endpoint)
        assert deliveries.replay("harbour", ids, nonce="r1", due_at=now) == 0, "this replay has had them"
        assert deliveries.replay("harbour", ids, nonce="r2", due_at=now) == 2
        assert deliveries.replay("meadow", ids, nonce="r3", due_at=now) == 0
        run_once(endpoint)
        sent = [(request.headers["webhook-id"], request.body) for request in server.requests]
    assert len(sent) == 6
    assert len(set(sent)) == 2
    counted = deliveries.count(
        "harbour", "main", [DeliveryState.DELIVERED], since=now - timedelta(hours=1), until=now + timedelta(hours=1)
    )
    assert counted == (2, 2)
