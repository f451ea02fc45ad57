"""The collection `deliveries` on a real replica set: claims, fences, results, and finding what is due."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pymongo.database import Database

from app.errors import ConfigurationError, StoreUnavailable
from app.lib import clock
from app.models.delivery import Attempt, Delivery, DeliveryState, Result
from app.privacy.keyring import Keyring
from app.privacy.memory import MemoryBrandKeys, MemoryRecipientKeys
from app.privacy.recipients import Vault
from app.storage.client import connect
from app.storage.deliveries import Deliveries
from app.storage.delivery_rows import MAX_LOG
from config.settings import Settings

MakeDeliveries = Callable[..., list[Delivery]]
LEASE = 45.0


def claim(
    deliveries: Deliveries, *, token: str = "t1", at: float = 0.0, limit: int = 100, **key: str
) -> list[Delivery]:
    return deliveries.claim(
        key.get("brand_id", "harbour"),
        key.get("endpoint_id", "main"),
        now=clock.now() + timedelta(seconds=at),
        lease_seconds=LEASE,
        limit=limit,
        token=token,
    )


def attempt(number: int = 1, outcome: str = "delivered") -> Attempt:
    return Attempt(number, clock.now(), 0.1, outcome, 200, "https://hooks.harbour.example/in?k=MARK", "thanks MARK")


def test_what_goes_in_comes_out(deliveries: Deliveries, make_deliveries: MakeDeliveries) -> None:
    made = make_deliveries(3)
    assert deliveries.insert_many(made) == 3
    claimed = claim(deliveries)
    assert [(d.id, d.webhook_id, d.body, d.attempts) for d in claimed] == [
        (d.id, d.webhook_id, d.body, 0) for d in made
    ]


def test_inserting_twice_makes_one_row(deliveries: Deliveries, make_deliveries: MakeDeliveries) -> None:
    made = make_deliveries(3)
    deliveries.insert_many(made[:2])
    assert deliveries.insert_many(made) == 1
    assert len(claim(deliveries)) == 3


def test_inserting_again_does_not_revive_what_is_delivered(
    deliveries: Deliveries, make_deliveries: MakeDeliveries
) -> None:
    made = make_deliveries(1)
    deliveries.insert_many(made)
    done = replace(claim(deliveries)[0], state=DeliveryState.DELIVERED, attempts=1)
    assert deliveries.record_results([Result(done, attempt())], token="t1", now=clock.now()) == 1
    deliveries.insert_many(made)
    assert claim(deliveries, token="t2", at=3600) == []


def test_nothing_personal_is_stored_in_the_clear(
    deliveries: Deliveries, make_deliveries: MakeDeliveries, database: Database[dict[str, Any]]
) -> None:
    (made,) = make_deliveries(1)
    marked = replace(made, items=(made.items[0]._replace(body=b'{"address":"MARK@mail.example"}'),))
    deliveries.insert_many([marked])
    done = replace(claim(deliveries)[0], state=DeliveryState.DELIVERED, attempts=1)
    deliveries.record_results([Result(done, attempt())], token="t1", now=clock.now())
    row = database["deliveries"].find_one({})
    assert "MARK" not in repr(row)
    record = deliveries.find("harbour", marked.id)
    assert record is not None
    assert (record.delivery.body, record.log[0].response) == (marked.body, "thanks MARK")


def test_only_what_is_due_is_claimed_and_the_longest_due_first(
    deliveries: Deliveries, make_deliveries: MakeDeliveries
) -> None:
    now = clock.now()
    late, later = (make_deliveries(due_at=now - timedelta(seconds=s))[0] for s in (10, 20))
    future = make_deliveries(due_at=now + timedelta(seconds=60))[0]
    deliveries.insert_many([late, future, later])
    assert [d.id for d in claim(deliveries)] == [later.id, late.id]


def test_equal_endpoint_ids_of_two_brands_never_meet(deliveries: Deliveries, make_deliveries: MakeDeliveries) -> None:
    deliveries.insert_many(make_deliveries(2) + make_deliveries(3, brand_id="meadow"))
    assert {d.brand_id for d in claim(deliveries)} == {"harbour"}
    assert len(claim(deliveries, brand_id="meadow")) == 3


@pytest.mark.slow
def test_no_delivery_is_claimed_twice_while_its_lease_holds(
    deliveries: Deliveries, make_deliveries: MakeDeliveries, settings: Settings, vault: Vault
) -> None:
    made = make_deliveries(1500)
    deliveries.insert_many(made)
    claims: Counter[str] = Counter()
    start = threading.Barrier(6)

    def work() -> None:
        database = connect(settings)  # a client of its own, as another process has
        mine: list[str] = []
        store = Deliveries(database, vault)
        start.wait()
        while claimed := claim(store, token=secrets.token_hex(8), limit=37):
            mine += [delivery.id for delivery in claimed]
        claims.update(mine)
        database.client.close()

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    # A worker that loses every row of a claim stops early here; none may be lost, though, and none be double.
    for delivery in claim(deliveries, token="rest", limit=5000):
        claims[delivery.id] += 1
    assert claims == Counter(delivery.id for delivery in made)


def test_a_claim_left_behind_comes_back_after_its_lease_and_the_old_owner_is_fenced(
    deliveries: Deliveries, make_deliveries: MakeDeliveries
) -> None:
    made = make_deliveries(1)
    deliveries.insert_many(made)
    first = claim(deliveries, token="killed")[0]
    assert claim(deliveries, token="early", at=LEASE - 1) == []
    second = claim(deliveries, token="later", at=LEASE + 1)[0]
    assert (second.webhook_id, second.body) == (first.webhook_id, first.body)
    done = replace(first, state=DeliveryState.DELIVERED, attempts=1)
    assert deliveries.record_results([Result(done, attempt())], token="killed", now=clock.now()) == 0
    assert deliveries.record_results([Result(done, attempt())], token="later", now=clock.now()) == 1


def test_a_failure_is_due_again_and_its_log_stays_bounded(
    deliveries: Deliveries, make_deliveries: MakeDeliveries
) -> None:
    deliveries.insert_many(make_deliveries(1))
    for number in range(1, MAX_LOG + 4):
        token = f"t{number}"
        claimed = claim(deliveries, token=token, at=1)[0]
        failed = replace(claimed, attempts=number, next_attempt_at=clock.now())
        assert (
            deliveries.record_results([Result(failed, attempt(number, "http_500"))], token=token, now=clock.now()) == 1
        )
    record = deliveries.list_for_brand("harbour", limit=5)[0]
    assert record.delivery.attempts == MAX_LOG + 3
    assert [entry.number for entry in record.log] == list(range(4, MAX_LOG + 4))
    assert all(entry.response == "" for entry in record.log)


def test_released_deliveries_are_due_when_they_were(deliveries: Deliveries, make_deliveries: MakeDeliveries) -> None:
    deliveries.insert_many(make_deliveries(3))
    claimed = claim(deliveries)
    deliveries.release(claimed[1:], token="t1")
    again = claim(deliveries, token="t2")
    assert [(d.id, d.next_attempt_at, d.attempts) for d in again] == [(d.id, d.next_attempt_at, 0) for d in claimed[1:]]


def test_endpoints_with_due_work_are_found_however_much_waits(
    deliveries: Deliveries, make_deliveries: MakeDeliveries
) -> None:
    now = clock.now()
    for brand_id in ("b1", "b2"):
        for endpoint_id in ("a", "b", "c"):
            deliveries.insert_many(make_deliveries(20, brand_id=brand_id, endpoint_id=endpoint_id))
    deliveries.insert_many(make_deliveries(5, brand_id="b3", due_at=now + timedelta(hours=1)))
    claim(deliveries, brand_id="b1", endpoint_id="b")
    deliveries.turns.take("b2", "c", token="x", now=now, seconds=60)
    at = now + timedelta(seconds=2)
    expected = [("b1", "a"), ("b1", "c"), ("b2", "a"), ("b2", "b")]
    assert deliveries.endpoints_due(at, 100) == expected
    assert deliveries.endpoints_due(at, 2) == expected[:2]
    assert deliveries.endpoints_due(at, 100, after=("b1", "c")) == expected[2:]


def test_a_turn_has_one_holder_and_ends_by_itself(deliveries: Deliveries) -> None:
    turns, now = deliveries.turns, clock.now()
    soon = now + timedelta(seconds=11)
    assert turns.take("harbour", "main", token="a", now=now, seconds=10)
    assert not turns.take("harbour", "main", token="b", now=now, seconds=10)
    assert turns.take("harbour", "main", token="b", now=soon, seconds=10)
    assert not turns.keep("harbour", "main", token="a", now=soon, seconds=10)
    turns.end("harbour", "main", token="a", now=soon, pause_seconds=0)  # not ours any more: changes nothing
    assert not turns.take("harbour", "main", token="c", now=soon, seconds=10)
    turns.end("harbour", "main", token="b", now=soon, pause_seconds=5)
    assert not turns.take("harbour", "main", token="c", now=soon + timedelta(seconds=4), seconds=10)
    assert turns.take("harbour", "main", token="c", now=soon + timedelta(seconds=6), seconds=10)


def test_counts_and_pages(deliveries: Deliveries, make_deliveries: MakeDeliveries) -> None:
    deliveries.insert_many(make_deliveries(7))
    claimed = claim(deliveries, limit=3)
    states = (DeliveryState.DELIVERED, DeliveryState.DEAD, DeliveryState.PENDING)
    results = [Result(replace(d, attempts=1, state=state), attempt()) for d, state in zip(claimed, states, strict=True)]
    deliveries.record_results(results, token="t1", now=clock.now())
    assert deliveries.counts_by_state() == {
        DeliveryState.PENDING: 5,
        DeliveryState.DELIVERED: 1,
        DeliveryState.PARKED: 0,
        DeliveryState.DEAD: 1,
    }
    assert [r.delivery.id for r in deliveries.list_for_brand("harbour", limit=9, state=DeliveryState.DEAD)] == [
        claimed[1].id
    ]
    first = deliveries.list_for_brand("harbour", limit=4)
    rest = deliveries.list_for_brand("harbour", limit=4, before=first[-1].delivery.id)
    ids = [record.delivery.id for record in first + rest]
    assert len(ids) == 7
    assert ids == sorted(ids, reverse=True)
    assert deliveries.list_for_brand("meadow", limit=9) == []
    assert deliveries.find("meadow", claimed[0].id) is None


def test_work_of_a_removed_endpoint_is_closed(deliveries: Deliveries, make_deliveries: MakeDeliveries) -> None:
    deliveries.insert_many(make_deliveries(3) + make_deliveries(1, endpoint_id="other"))
    now = clock.now()
    assert deliveries.cancel("harbour", "main", created_before=now - timedelta(hours=1), now=now) == 0
    assert deliveries.cancel("harbour", "main", created_before=now + timedelta(seconds=1), now=now) == 3
    assert claim(deliveries) == []
    assert len(claim(deliveries, endpoint_id="other")) == 1


def test_a_body_that_cannot_be_opened_is_closed_and_blocks_nothing(
    deliveries: Deliveries, make_deliveries: MakeDeliveries, database: Database[dict[str, Any]]
) -> None:
    made = make_deliveries(3)
    deliveries.insert_many(made)
    database["deliveries"].update_one({"_id": made[0].id}, {"$set": {"body": b"broken"}})
    assert [d.id for d in claim(deliveries)] == [d.id for d in made[1:]]
    assert claim(deliveries, token="t2", at=LEASE + 1)[0].id == made[1].id
    assert deliveries.counts_by_state()[DeliveryState.DEAD] == 1


def test_a_missing_master_key_gives_nothing_up(
    deliveries: Deliveries, make_deliveries: MakeDeliveries, database: Database[dict[str, Any]]
) -> None:
    store, keys = MemoryBrandKeys(), MemoryRecipientKeys()
    Deliveries(database, Vault(Keyring([("k1", bytes(32))], store), keys)).insert_many(make_deliveries(1))
    with pytest.raises(ConfigurationError):
        claim(Deliveries(database, Vault(Keyring([("k2", bytes(32))], store), keys)))
    assert deliveries.counts_by_state()[DeliveryState.PENDING] == 1


def test_a_write_error_that_is_no_duplicate_is_not_swallowed(
    deliveries: Deliveries, make_deliveries: MakeDeliveries, database: Database[dict[str, Any]]
) -> None:
    database.command("collMod", "deliveries", validator={"attempts": {"$lt": 5}})
    made = make_deliveries(2)
    try:
        with pytest.raises(StoreUnavailable):
            deliveries.insert_many([made[0], replace(made[1], attempts=7)])
    finally:
        database.command("collMod", "deliveries", validator={})


def test_finished_rows_expire_and_waiting_ones_do_not(
    deliveries: Deliveries, make_deliveries: MakeDeliveries, database: Database[dict[str, Any]]
) -> None:
    deliveries.insert_many(make_deliveries(2))
    done = replace(claim(deliveries, limit=1)[0], state=DeliveryState.DELIVERED, attempts=1)
    deliveries.record_results([Result(done, attempt())], token="t1", now=clock.now())
    rows = {row["_id"]: row for row in database["deliveries"].find({})}
    assert rows[done.id]["expire_at"] > clock.now() + timedelta(days=29)
    assert [row["state"] for row in rows.values() if "expire_at" not in row] == ["pending"]
    assert database["deliveries"].index_information()["ttl"]["expireAfterSeconds"] == 0


def test_a_woken_endpoint_is_not_woken_again_until_its_task_begins_or_is_lost(
    deliveries: Deliveries, make_deliveries: MakeDeliveries
) -> None:
    deliveries.insert_many(make_deliveries(2) + make_deliveries(1, endpoint_id="other"))
    main, other = ("harbour", "main"), ("harbour", "other")
    now = clock.now()
    assert deliveries.endpoints_due(now, 10) == [main, other]
    deliveries.turns.mark_woken([main], now=now, seconds=15)
    assert deliveries.endpoints_due(now, 10) == [other]
    assert deliveries.endpoints_due(now + timedelta(seconds=16), 10) == [main, other]
    assert deliveries.turns.take(*main, token="t", now=now, seconds=10)
    deliveries.turns.end(*main, token="t", now=now, pause_seconds=0)
    assert deliveries.endpoints_due(now, 10) == [main, other]
    deliveries.turns.mark_woken([main, other], now=now, seconds=15)
    deliveries.turns.unmark_woken([main, other])
    assert deliveries.endpoints_due(now, 10) == [main, other]
