"""What the webhook tests share: a keyring, the collections with their indexes, makers of endpoints and deliveries."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_network
from typing import Any

import pytest
from pymongo.database import Database

from app.lib import clock, ids
from app.models.delivery import Delivery, Endpoint, Item, Secret
from app.privacy.keyring import Keyring
from app.privacy.memory import MemoryBrandKeys, MemoryRecipientKeys
from app.privacy.recipients import Vault
from app.storage.deliveries import Deliveries
from app.storage.endpoints import Endpoints
from app.webhooks.address_guard import AddressGuard

KEY = bytes(range(32))
_counter = itertools.count()


@pytest.fixture
def keyring() -> Keyring:
    return Keyring([("k1", bytes(range(32)))], MemoryBrandKeys())


@pytest.fixture
def recipient_keys() -> MemoryRecipientKeys:
    return MemoryRecipientKeys()


@pytest.fixture
def vault(keyring: Keyring, recipient_keys: MemoryRecipientKeys) -> Vault:
    return Vault(keyring, recipient_keys)


@pytest.fixture
def deliveries(database: Database[dict[str, Any]], vault: Vault) -> Deliveries:
    database[Deliveries.COLLECTION].create_indexes(list(Deliveries.INDEXES))
    return Deliveries(database, vault)


@pytest.fixture
def endpoints(database: Database[dict[str, Any]], keyring: Keyring) -> Endpoints:
    database[Endpoints.COLLECTION].create_indexes(list(Endpoints.INDEXES))
    return Endpoints(database, keyring)


@pytest.fixture
def guard() -> AddressGuard:
    """Loopback is open, as an operator opens it for tests."""
    return AddressGuard([ip_network("127.0.0.0/8")])


@pytest.fixture
def make_endpoint() -> Callable[..., Endpoint]:
    def make(url: str = "https://hooks.harbour.example/in", **changes: Any) -> Endpoint:
        return Endpoint(**({"id": "main", "brand_id": "harbour", "url": url, "secrets": (Secret(KEY),)} | changes))

    return make


@pytest.fixture
def make_deliveries() -> Callable[..., list[Delivery]]:
    def make(
        count: int = 1,
        *,
        brand_id: str = "harbour",
        endpoint_id: str = "main",
        due_at: datetime | None = None,
        key_id: bytes = b"",
    ) -> list[Delivery]:
        made: list[Delivery] = []
        for _ in range(count):
            number = next(_counter)
            event_id = ids.event_id_text(ids.new_id(clock.now_ms() + number))  # in the order they are made
            body = b'{"id":"%s","type":"message.opened","data":{"n":%d}}' % (event_id.encode(), number)
            now = clock.now()
            made.append(
                Delivery(
                    id=f"{event_id}:{endpoint_id}",
                    endpoint_id=endpoint_id,
                    brand_id=brand_id,
                    items=(Item(event_id, "message.opened", body, key_id),),
                    created_at=now,
                    next_attempt_at=due_at or now,
                )
            )
        return made

    return make
