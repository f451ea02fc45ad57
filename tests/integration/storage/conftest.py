"""Keyring, vault and collections on a real MongoDB, as a process of the deployment has them."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from app.privacy import Keyring
from app.privacy.recipients import Vault
from app.storage.brand_keys import BrandKeys
from app.storage.indexes import create_indexes
from app.storage.messages import Messages
from app.storage.recipient_keys import RecipientKeys
from config.settings import Settings


@pytest.fixture
def keyring(settings: Settings, database: Database[dict[str, Any]]) -> Keyring:
    create_indexes(database)
    return Keyring(settings.master_keys, BrandKeys(database))


@pytest.fixture
def recipient_keys(database: Database[dict[str, Any]], keyring: Keyring) -> RecipientKeys:
    return RecipientKeys(database)


@pytest.fixture
def vault(keyring: Keyring, recipient_keys: RecipientKeys) -> Vault:
    return Vault(keyring, recipient_keys)


@pytest.fixture
def messages(database: Database[dict[str, Any]], vault: Vault) -> Messages:
    return Messages(database, vault)
