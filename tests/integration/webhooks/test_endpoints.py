"""The collection `endpoints` on a real replica set."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from pymongo.database import Database

from app.errors import Conflict
from app.lib import clock
from app.models.delivery import Batching, Endpoint, PayloadMode, Secret, Transport
from app.privacy.keyring import Keyring
from app.storage.endpoint_documents import StoredEndpoint
from app.storage.endpoints import MAX_PER_BRAND, Endpoints, new_endpoint_id

MakeEndpoint = Callable[..., Endpoint]
URL = "https://hooks.harbour.example/in?key=MARK"


def test_what_goes_in_comes_out_and_is_sealed_in_between(
    endpoints: Endpoints, make_endpoint: MakeEndpoint, database: Database[dict[str, Any]]
) -> None:
    now = clock.from_ms(clock.now_ms())
    endpoint = make_endpoint(
        URL,
        id=new_endpoint_id(),
        secrets=(Secret(b"k" * 24, "sec_2", now), Secret(b"K" * 64, "sec_1", now, now + timedelta(days=1))),
        events=frozenset({"message.opened"}),
        mode=PayloadMode.FULL,
        max_in_flight=3,
        deadline_seconds=7.5,
        transport=Transport.HTTP_THEN_QUEUE,
        queue="amqps://MARK:MARK@mq.harbour.example/?queue=events",
        batching=Batching(10, 20_000, 1.5),
        headers=(("x-key", "MARK"), ("x-team", "MARK")),
        strict=True,
        rate_per_second=0.5,
        delays=(1.0, 60.0),
        fallback_attempts=2,
    )
    endpoints.insert(endpoint, created_at=now, description="MARK")
    stored = endpoints.get("harbour", endpoint.id)
    assert stored == StoredEndpoint(endpoint, now, "MARK")
    assert "MARK" not in repr(database["endpoints"].find_one({}))
    assert endpoints.get("meadow", endpoint.id) is None


def test_an_endpoint_from_before_secrets_had_ids_is_read(
    endpoints: Endpoints, make_endpoint: MakeEndpoint, keyring: Keyring, database: Database[dict[str, Any]]
) -> None:
    endpoint = make_endpoint(URL, id=new_endpoint_id())
    hidden = {"url": URL, "secrets": [base64.b64encode(one.key).decode() for one in endpoint.secrets]}
    sealed = keyring.seal("harbour", "endpoint", orjson.dumps(hidden))
    old = {"_id": endpoint.id, "brand_id": "harbour", "place": 0, "sealed": sealed, "created_at": clock.now()}
    old |= {"events": [], "mode": "thin", "deadline_seconds": 15.0, "max_in_flight": 8, "disabled": False}
    database["endpoints"].insert_one(old)
    (stored,) = endpoints.list_for_brand("harbour")
    assert stored.endpoint == endpoint
    changed = endpoints.update("harbour", endpoint.id, lambda it: replace(it, description="new"), change_id="chg_1")
    assert changed == endpoints.get("harbour", endpoint.id)


def test_changes_at_the_same_time_are_all_made_and_each_once(endpoints: Endpoints, make_endpoint: MakeEndpoint) -> None:
    endpoint = make_endpoint(URL, id=new_endpoint_id())
    endpoints.insert(endpoint, created_at=clock.now())

    def add(letter: str) -> None:
        def change(stored: StoredEndpoint) -> StoredEndpoint:
            return replace(stored, description=stored.description + letter)

        for _ in range(2):  # the second is the repeat of a call whose answer was lost
            endpoints.update("harbour", endpoint.id, change, change_id=f"chg_{letter}")

    threads = [threading.Thread(target=add, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = endpoints.get("harbour", endpoint.id)
    assert stored is not None
    assert sorted(stored.description) == ["a", "b", "c", "d"]
    assert endpoints.update("meadow", endpoint.id, lambda it: it, change_id="chg_x") is None


def test_storing_the_same_id_again_changes_nothing(endpoints: Endpoints, make_endpoint: MakeEndpoint) -> None:
    endpoint = make_endpoint(URL, id=new_endpoint_id())
    endpoints.insert(endpoint, created_at=clock.now())
    endpoints.insert(endpoint, created_at=clock.now())
    assert len(endpoints.list_for_brand("harbour")) == 1


def test_routing_gets_the_endpoints_of_several_brands_without_what_is_sealed(
    endpoints: Endpoints, make_endpoint: MakeEndpoint
) -> None:
    batching = Batching(10, 20_000, 1.5)
    mine = make_endpoint(URL, id=new_endpoint_id(), batching=batching, strict=True, queue="amqps://MARK")
    other = make_endpoint(URL, id=new_endpoint_id(), brand_id="meadow")
    for endpoint in (mine, other):
        endpoints.insert(endpoint, created_at=clock.now())
    found = endpoints.for_brands(["harbour", "meadow", "harbour", "nobody"])
    assert found == {
        "harbour": [replace(mine, url="", secrets=(), queue="")],
        "meadow": [replace(other, url="", secrets=())],
    }


@pytest.mark.slow
def test_a_brand_never_has_more_than_its_share_whoever_asks_at_once(
    endpoints: Endpoints, make_endpoint: MakeEndpoint
) -> None:
    refused: list[Conflict] = []

    def add() -> None:
        for _ in range(6):
            try:
                endpoints.insert(make_endpoint(URL, id=new_endpoint_id()), created_at=clock.now())
            except Conflict as error:
                refused.append(error)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = endpoints.list_for_brand("harbour")
    assert (len(stored), len(refused)) == (MAX_PER_BRAND, 4)
    assert endpoints.delete("harbour", stored[3].endpoint.id)
    assert not endpoints.delete("harbour", stored[3].endpoint.id)
    endpoints.insert(make_endpoint(URL, id=new_endpoint_id()), created_at=clock.now())
