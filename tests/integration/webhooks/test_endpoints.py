"""The collection `endpoints` on a real replica set."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from app.errors import Conflict
from app.lib import clock
from app.models.delivery import Endpoint, PayloadMode
from app.storage.endpoints import MAX_PER_BRAND, Endpoints, new_endpoint_id

MakeEndpoint = Callable[..., Endpoint]
URL = "https://hooks.harbour.example/in?key=MARK"


def test_what_goes_in_comes_out_and_is_sealed_in_between(
    endpoints: Endpoints, make_endpoint: MakeEndpoint, database: Database[dict[str, Any]]
) -> None:
    endpoint = make_endpoint(
        URL, id=new_endpoint_id(), events=frozenset({"message.opened"}), mode=PayloadMode.FULL, max_in_flight=3
    )
    endpoints.insert(endpoint, created_at=clock.now())
    stored = endpoints.get("harbour", endpoint.id)
    assert stored is not None
    assert (stored.endpoint, stored.disabled) == (endpoint, False)
    assert "MARK" not in repr(database["endpoints"].find_one({}))
    assert endpoints.get("meadow", endpoint.id) is None


def test_storing_the_same_id_again_changes_nothing(endpoints: Endpoints, make_endpoint: MakeEndpoint) -> None:
    endpoint = make_endpoint(URL, id=new_endpoint_id())
    endpoints.insert(endpoint, created_at=clock.now())
    endpoints.insert(endpoint, created_at=clock.now())
    assert len(endpoints.list_for_brand("harbour")) == 1


def test_routing_gets_enabled_endpoints_of_several_brands_without_their_secrets(
    endpoints: Endpoints, make_endpoint: MakeEndpoint
) -> None:
    on, off, other = (make_endpoint(URL, id=new_endpoint_id(), brand_id=b) for b in ("harbour", "harbour", "meadow"))
    for endpoint in (on, off, other):
        endpoints.insert(endpoint, created_at=clock.now())
    assert endpoints.set_disabled("harbour", off.id, True)
    assert not endpoints.set_disabled("meadow", off.id, True)
    found = endpoints.for_brands(["harbour", "meadow", "harbour", "nobody"])
    assert {brand_id: [e.id for e in items] for brand_id, items in found.items()} == {
        "harbour": [on.id],
        "meadow": [other.id],
    }
    assert (found["harbour"][0].url, found["harbour"][0].secrets) == ("", ())


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
