"""The collection `endpoints`: webhook endpoints made through the API. Those of brands.yaml are never in here.

URL and secrets are sealed; ids are `ep_…`, so they cannot meet an id of brands.yaml.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from pymongo import ASCENDING, IndexModel, UpdateOne
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.errors import Conflict
from app.lib import ids
from app.models.delivery import Endpoint, PayloadMode, Secret
from app.models.sealed import SealedField
from app.storage.blocks import FIRST_KEY, Sealer
from app.storage.client import Document, translated

ID_PREFIX = "ep_"
MAX_PER_BRAND = 20


@dataclass(frozen=True, slots=True)
class StoredEndpoint:
    """An endpoint and what the API shows besides."""

    endpoint: Endpoint
    created_at: datetime
    disabled: bool = False


def new_endpoint_id() -> str:
    """A fresh id, `ep_` and 26 characters."""
    return ID_PREFIX + ids.to_text(ids.new_id())


class Endpoints:
    """Every method raises `StoreUnavailable` when MongoDB does not answer in time."""

    COLLECTION = "endpoints"
    purpose = "endpoint"
    INDEXES = (
        # `place` is 0…19: the index, not a count that two requests could read at once, is what bounds a brand.
        IndexModel([("brand_id", ASCENDING), ("place", ASCENDING)], name="by_brand", unique=True),
    )

    def __init__(self, database: Database[Document], sealer: Sealer) -> None:
        self._endpoints = database[self.COLLECTION]
        self._sealer = sealer

    def insert(self, endpoint: Endpoint, *, created_at: datetime) -> None:
        """Store a new endpoint; storing the same id again changes nothing.

        Raises:
            Conflict: the brand has 20.
        """
        document = self._to_document(endpoint, created_at)
        with translated():
            for _ in range(MAX_PER_BRAND):
                rows = self._endpoints.find({"brand_id": endpoint.brand_id}, {"place": 1})
                places = {row["_id"]: row["place"] for row in rows}
                free = sorted(set(range(MAX_PER_BRAND)) - set(places.values()))
                if endpoint.id in places:
                    return
                if not free:
                    break
                try:
                    self._endpoints.insert_one({**document, "place": free[0]})
                except DuplicateKeyError:
                    continue  # somebody took the place, look again
                return
        raise Conflict(f"A brand has at most {MAX_PER_BRAND} endpoints.", code="too_many_endpoints")

    def get(self, brand_id: str, endpoint_id: str) -> StoredEndpoint | None:
        """One endpoint with its URL and secrets."""
        with translated():
            document = self._endpoints.find_one({"_id": endpoint_id, "brand_id": brand_id})
        return None if document is None else self._from_document(document)

    def list_for_brand(self, brand_id: str) -> list[StoredEndpoint]:
        """A brand's endpoints, oldest first; at most 20."""
        with translated():
            documents = [*self._endpoints.find({"brand_id": brand_id}).limit(MAX_PER_BRAND)]
        return sorted((self._from_document(document) for document in documents), key=lambda item: item.endpoint.id)

    def delete(self, brand_id: str, endpoint_id: str) -> bool:
        """Delete an endpoint; its waiting deliveries are closed when they come up."""
        with translated():
            return self._endpoints.delete_one({"_id": endpoint_id, "brand_id": brand_id}).deleted_count == 1

    def set_disabled(self, brand_id: str, endpoint_id: str, disabled: bool) -> bool:
        """Switch an endpoint off or on; False when there is none. While it is off, waiting deliveries wait."""
        with translated():
            return (
                self._endpoints.update_one(
                    {"_id": endpoint_id, "brand_id": brand_id}, {"$set": {"disabled": disabled}}
                ).matched_count
                == 1
            )

    def for_brands(self, brand_ids: Iterable[str]) -> dict[str, list[Endpoint]]:
        """The endpoints that are on, by brand, in one query, for `app.webhooks.routing`.

        Without URL and secrets: routing needs neither, so nothing is opened, and an endpoint whose seal is broken
        fails at its own delivery and not in everybody's ingest.
        """
        found: dict[str, list[Endpoint]] = {}
        with translated():
            for document in self._endpoints.find(
                {"brand_id": {"$in": list(set(brand_ids))}, "disabled": False}, {"sealed": 0}
            ):
                found.setdefault(document["brand_id"], []).append(_for_routing(document))
        return found

    def older(self, brand_id: str, key_number: int, limit: int) -> list[SealedField]:
        """At most `limit` endpoints that an older key of the brand than `key_number` seals."""
        query = {"brand_id": {"$eq": brand_id}, "$or": [{"kn": {"$lt": key_number}}, {"kn": None}]}
        with translated():
            rows = list(self._endpoints.find(query, {"brand_id": 1, "sealed": 1, "kn": 1}).limit(limit))
        return [
            SealedField(row["_id"], row["brand_id"], bytes(row["sealed"]), row.get("kn", FIRST_KEY)) for row in rows
        ]

    def renew(self, fields: Sequence[tuple[SealedField, SealedField]]) -> int:
        """Put newly sealed forms in place of (old form, new form); answers how many were still the old form."""
        if not fields:
            return 0
        changes = [
            UpdateOne({"_id": old.id, "sealed": old.sealed}, {"$set": {"sealed": new.sealed, "kn": new.key_number}})
            for old, new in fields
        ]
        with translated():
            return self._endpoints.bulk_write(changes, ordered=False).modified_count

    def count_under(self, brand_id: str, key_number: int) -> int:
        """How many endpoints one of the brand's keys seals."""
        numbers = [key_number, None] if key_number == FIRST_KEY else [key_number]
        with translated():
            return self._endpoints.count_documents({"brand_id": {"$eq": brand_id}, "kn": {"$in": numbers}})

    def _to_document(self, endpoint: Endpoint, created_at: datetime) -> Document:
        secret = {
            "url": endpoint.url,
            "secrets": [base64.b64encode(one.key).decode("ascii") for one in endpoint.secrets],
        }
        sealed = self._sealer.seal(endpoint.brand_id, self.purpose, orjson.dumps(secret))
        return {
            "_id": endpoint.id,
            "brand_id": endpoint.brand_id,
            "sealed": sealed,
            "kn": self._sealer.number_of(sealed),
            "events": sorted(endpoint.events),
            "mode": endpoint.mode.value,
            "deadline_seconds": endpoint.deadline_seconds,
            "max_in_flight": endpoint.max_in_flight,
            "created_at": created_at,
            "disabled": False,
        }

    def _from_document(self, document: Document) -> StoredEndpoint:
        opened = orjson.loads(self._sealer.open(document["brand_id"], self.purpose, bytes(document["sealed"])))
        keys = tuple(Secret(base64.b64decode(key)) for key in opened["secrets"])
        return StoredEndpoint(
            endpoint=_endpoint(document, url=opened["url"], secrets=keys),
            created_at=document["created_at"],
            disabled=document["disabled"],
        )


def _for_routing(document: Document) -> Endpoint:
    return _endpoint(document, url="", secrets=())


def _endpoint(document: Document, **hidden: Any) -> Endpoint:
    return Endpoint(
        id=document["_id"],
        brand_id=document["brand_id"],
        events=frozenset(document["events"]),
        mode=PayloadMode(document["mode"]),
        deadline_seconds=document["deadline_seconds"],
        max_in_flight=document["max_in_flight"],
        **hidden,
    )
