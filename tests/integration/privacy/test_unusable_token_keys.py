"""A hit that was answered is not dropped because this process cannot unwrap its token's key."""

from __future__ import annotations

import os

import pytest

from app.errors import ConfigurationError
from app.privacy.token_keys import TokenKeys
from app.storage.brand_keys import BrandKeys
from app.tracking.tokens import TokenContent, TokenPurpose
from tests.integration.conftest import World


def test_ingest_without_the_right_master_key_stops_instead_of_losing_hits(world: World) -> None:
    content = TokenContent(reference="order-7", address="ann@people.example")
    (token,) = world.services.token_keys.seal_many("alder", TokenPurpose.OPEN, [content])
    world.hit(f"/o/s/{token}.gif")
    elsewhere = TokenKeys([("another", os.urandom(32))], BrandKeys(world.services.database))
    elsewhere.refresh()
    sealed = world.services.ingest._attribution._sealed
    sealed._tokens, right = elsewhere, sealed._tokens
    with pytest.raises(ConfigurationError, match="alder"):
        world.ingest("a")
    assert world.services.database["batches"].count_documents({}) == 0
    sealed._tokens = right
    assert world.ingest("a").dropped == {}


def test_a_retired_key_is_no_error(world: World) -> None:
    keys = world.services.token_keys
    content = TokenContent(reference="order-7", address="ann@people.example")
    (token,) = keys.seal_many("alder", TokenPurpose.OPEN, [content])
    world.hit(f"/o/s/{token}.gif")
    keys.rotate("alder")
    keys.retire("alder", 1)
    assert world.ingest("a").dropped == {"unknown_token": 1}
