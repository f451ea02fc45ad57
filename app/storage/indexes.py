"""Every index and lifetime of the deployment, in one place; `flask db init` makes them before anything serves."""

from __future__ import annotations

from collections.abc import Sequence

from pymongo import IndexModel
from pymongo.database import Database

from app.lib import ids
from app.storage.api_keys import ApiKeys
from app.storage.batches import Batches
from app.storage.blocks import Blocks
from app.storage.brand_keys import BrandKeys
from app.storage.client import Document, translated
from app.storage.dead_letters import DeadLetters
from app.storage.deliveries import Deliveries
from app.storage.endpoint_health import EndpointHealth
from app.storage.endpoints import Endpoints
from app.storage.events import EventStore
from app.storage.idempotency import Idempotency
from app.storage.link_clicks import INDEXES as LINK_CLICK_INDEXES
from app.storage.messages import Messages
from app.storage.recipient_keys import RecipientKeys
from app.storage.replays import Replays

INDEXES: dict[str, Sequence[IndexModel]] = {
    "blocks": Blocks.INDEXES,
    "messages": Messages.INDEXES,
    "events": (*EventStore.INDEXES, *LINK_CLICK_INDEXES),
    "batches": Batches.INDEXES,
    "rollups": Batches.ROLLUP_INDEXES,
    "dead_letters": DeadLetters.INDEXES,
    "deliveries": Deliveries.INDEXES,
    "endpoints": Endpoints.INDEXES,
    "replays": Replays.INDEXES,
    "endpoint_health": EndpointHealth.INDEXES,
    "api_keys": ApiKeys.INDEXES,
    "idempotency": Idempotency.INDEXES,
    "brand_keys": BrandKeys.INDEXES,
    "recipient_keys": RecipientKeys.INDEXES,
}


def create_indexes(database: Database[Document]) -> list[str]:
    """Make what is missing; answers the collections looked at. Running it again changes nothing."""
    with translated():
        for name, models in INDEXES.items():
            if models:
                database[name].create_indexes(list(models))
    store_id(database)
    return sorted(INDEXES)


def store_id(database: Database[Document]) -> str:
    """A random name of this database, made once: what Redis remembers of it is kept under this name."""
    with translated():
        found = database["counters"].find_one_and_update(
            {"_id": "store"},
            {"$setOnInsert": {"name": ids.to_text(ids.new_id())}},
            upsert=True,
            return_document=True,
        )
    return str((found or {})["name"])
