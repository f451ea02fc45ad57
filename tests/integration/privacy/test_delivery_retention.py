"""`retention.deliveries` of a brand is how long its webhooks are kept, whatever they came to."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.lib import clock
from app.models.block import Channel
from app.models.delivery import Attempt, DeliveryState, Result
from tests.integration.conftest import World
from tests.integration.front.conftest import ChangeBrand

ENDPOINT = ("alder", "alder-main")


def _row(world: World) -> dict[str, Any]:
    (row,) = world.services.database["deliveries"].find()
    return dict(row)


@pytest.mark.parametrize("end", ["delivered", "cancelled", "erased"])
def test_a_delivery_is_kept_as_long_as_its_brand_says(world: World, change_brand: ChangeBrand, end: str) -> None:
    change_brand("alder", retention={"deliveries": 3})
    world.hit(f"/c/{world.code(4)}")
    world.ingest()
    store, before = world.services.deliveries, clock.now()
    if end == "delivered":
        (claimed,) = store.claim(*ENDPOINT, now=before, lease_seconds=45, limit=10, token="t1")
        done = replace(claimed, state=DeliveryState.DELIVERED, attempts=1)
        attempt = Attempt(1, before, 0.1, "delivered", 200, "https://hooks.alder.example/t", "")
        store.record_results([Result(done, attempt)], token="t1", now=before)
    elif end == "cancelled":
        store.cancel(*ENDPOINT, created_before=before + timedelta(seconds=1), now=before)
    else:
        hashed = world.services.keyring.address_hash("alder", Channel.EMAIL, "p0@people.example")
        world.services.erasure.erase("alder", hashed, suppress=True, at=before)
    expire_at: datetime = _row(world)["expire_at"]
    assert timedelta(days=3) - timedelta(seconds=1) <= expire_at - before < timedelta(days=3, seconds=60)
