"""What the tests of the front do to their world: other links, another brands.yaml, tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from app.lib import clock
from app.models.block import FIRST_LINK_SLOT, Block, Channel, Link
from app.models.message import Message, Recipient
from app.tracking.tokens import TokenContent, TokenPurpose
from tests.integration.conftest import World

StoreLinks = Callable[..., list[str]]
"""Links → a stored block's click codes for its first recipient."""
ChangeBrand = Callable[..., None]
"""Brand id and fields → brands.yaml says so from now on."""
Seal = Callable[..., str]
"""Purpose, fields of a token's content → the token, of brand `alder` unless another is named."""


@pytest.fixture
def store_links(world: World) -> StoreLinks:
    def store(*links: Link, values: Mapping[str, str] | None = None) -> list[str]:
        stride = FIRST_LINK_SLOT + len(links)
        services = world.services
        block = Block(
            start=services.numbers.reserve(stride),
            count=1,
            stride=stride,
            brand_id="alder",
            channel=Channel.EMAIL,
            links=links,
            created_at=clock.now(),
        )
        services.blocks.insert(block)
        message = Message(
            number=block.start,
            brand_id="alder",
            channel=Channel.EMAIL,
            recipient=Recipient("ann@people.example"),
            address_hash=services.keyring.address_hash("alder", Channel.EMAIL, "ann@people.example"),
            created_at=clock.now(),
            values=values or {},
        )
        services.messages.insert_many([message])
        return [services.codes.encode(block.start + FIRST_LINK_SLOT + index) for index in range(len(links))]

    return store


@pytest.fixture
def change_brand(world: World) -> ChangeBrand:
    def change(brand_id: str, **fields: Any) -> None:
        file = world.services.settings.brands_file
        document = json.loads(file.read_text())
        for brand in document["brands"]:
            if brand["id"] == brand_id:
                brand.update(fields)
        file.write_text(json.dumps(document))
        # Now, instead of within a second.
        world.services.brands._next_check = 0.0
        assert world.services.brands.last_error is None

    return change


@pytest.fixture
def seal(world: World) -> Seal:
    def sealed(purpose: TokenPurpose, *, brand_id: str = "alder", **fields: Any) -> str:
        (token,) = world.services.token_keys.seal_many(brand_id, purpose, [TokenContent(**fields)])
        return token

    return sealed
