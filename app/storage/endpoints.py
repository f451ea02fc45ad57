"""The collection `endpoints`: webhook endpoints made through the API. Those of brands.yaml are never in here.

Ids are `ep_…`, so they cannot meet an id of brands.yaml. What is sealed is `endpoint_documents`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from pymongo import ASCENDING, IndexModel, UpdateOne
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.errors import Conflict, StoreUnavailable
from app.lib import ids
from app.models.delivery import Endpoint
from app.models.sealed import SealedField
from app.storage.blocks import FIRST_KEY, Sealer
from app.storage.client import Document, translated
from app.storage.endpoint_documents import PURPOSE, StoredEndpoint, for_routing, from_document, to_document

ID_PREFIX = "ep_"
MAX_PER_BRAND = 20
_REMEMBERED_CHANGES = 10
_UPDATE_ROUNDS = 5


def new_endpoint_id() -> str:
    """A fresh id, `ep_` and 26 characters."""
    return ID_PREFIX + ids.to_text(ids.new_id())


class Endpoints:
    """Every method raises `StoreUnavailable` when MongoDB does not answer in time."""

    COLLECTION = "endpoints"
    purpose = PURPOSE
    INDEXES = (
        # `place` is 0…19: the index, not a count that two requests could read at once, is what bounds a brand.
        IndexModel([("brand_id", ASCENDING), ("place", ASCENDING)], name="by_brand", unique=True),
    )

    def __init__(self, database: Database[Document], sealer: Sealer) -> None:
        self._endpoints = database[self.COLLECTION]
        self._sealer = sealer

    def insert(self, endpoint: Endpoint, *, created_at: datetime, description: str = "") -> None:
        """Store a new endpoint; storing the same id again changes nothing.

        Raises:
            Conflict: the brand has 20.
        """
        document = to_document(StoredEndpoint(endpoint, created_at, description), self._sealer)
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
        return None if document is None else from_document(document, self._sealer)

    def list_for_brand(self, brand_id: str) -> list[StoredEndpoint]:
        """A brand's endpoints, oldest first; at most 20."""
        with translated():
            documents = [*self._endpoints.find({"brand_id": brand_id}).limit(MAX_PER_BRAND)]
        found = [from_document(document, self._sealer) for document in documents]
        return sorted(found, key=lambda stored: stored.endpoint.id)

    def delete(self, brand_id: str, endpoint_id: str) -> bool:
        """Delete an endpoint; its waiting deliveries are closed when they come up."""
        with translated():
            return self._endpoints.delete_one({"_id": endpoint_id, "brand_id": brand_id}).deleted_count == 1

    def update(
        self, brand_id: str, endpoint_id: str, change: Callable[[StoredEndpoint], StoredEndpoint], *, change_id: str
    ) -> StoredEndpoint | None:
        """Change an endpoint; None when there is none. Answers it as it is then.

        Args:
            change: from the endpoint as it is to what it becomes; called again when somebody else was faster.
            change_id: a change that has been made is not made again, as long as it is among the last few.
        """
        for _ in range(_UPDATE_ROUNDS):
            with translated():
                document = self._endpoints.find_one({"_id": endpoint_id, "brand_id": brand_id})
            if document is None:
                return None
            stored = from_document(document, self._sealer)
            made = document.get("changes", [])
            if change_id in made:
                return stored
            changed = change(stored)
            new = to_document(changed, self._sealer) | {"changes": [*made, change_id][-_REMEMBERED_CHANGES:]}
            with translated():
                same = {"_id": endpoint_id, "changes": document.get("changes")}
                won = self._endpoints.update_one(same, {"$set": new}).matched_count
            if won:
                return changed
        raise StoreUnavailable("an endpoint that others change all the time")

    def for_brands(self, brand_ids: Iterable[str]) -> dict[str, list[Endpoint]]:
        """Endpoints by brand, in one query, for `app.webhooks.routing`; disabled ones too, whose deliveries are parked.

        Without URL and secrets: routing needs neither, so nothing is opened, and an endpoint whose seal is broken
        fails at its own delivery and not in everybody's ingest.
        """
        found: dict[str, list[Endpoint]] = {}
        with translated():
            for document in self._endpoints.find({"brand_id": {"$in": list(set(brand_ids))}}, {"sealed": 0}):
                found.setdefault(document["brand_id"], []).append(for_routing(document))
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
