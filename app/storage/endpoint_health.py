"""The collection `endpoint_health`: how endpoints are, those of brands.yaml and those of the API alike.

One small document per endpoint. What a run changes it changes under the version it has read, so of two workers that
see the same thing one makes the transition and speaks of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from pymongo import ASCENDING, IndexModel
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.errors import StoreUnavailable
from app.models.delivery import DisabledReason
from app.models.endpoint_health import Health, Notice, Seen
from app.storage.client import Document, translated

_ROUNDS = 8
_NOTHING = Health()
_KEPT = {"last_success_at", "enabled_at", "told", "version"}
_FORGOTTEN = dict.fromkeys(sorted(set(Health._fields) - _KEPT), "")
"""What an enabled endpoint begins anew with."""


class Rules(Protocol):
    """What a run changes (`app.webhooks.health`)."""

    def after(self, endpoint_id: str, health: Health, seen: Seen, now: datetime) -> tuple[Health, list[Notice]]: ...


class EndpointHealth:
    """Every method raises `StoreUnavailable` when MongoDB does not answer in time."""

    COLLECTION = "endpoint_health"
    INDEXES = (
        IndexModel([("brand_id", ASCENDING), ("disabled", ASCENDING), ("endpoint_id", ASCENDING)], name="by_brand"),
    )

    def __init__(self, database: Database[Document], rules: Rules) -> None:
        self._health = database[self.COLLECTION]
        self._rules = rules

    def of(self, brand_id: str, endpoint_id: str) -> Health:
        """How an endpoint is."""
        with translated():
            document = self._health.find_one({"_id": _key(brand_id, endpoint_id)})
        return _NOTHING if document is None else _health(document)

    def of_brand(self, brand_id: str) -> dict[str, Health]:
        """How a brand's endpoints are, by id; without those of which nothing was noted yet."""
        with translated():
            return {row["endpoint_id"]: _health(row) for row in self._health.find({"brand_id": {"$eq": brand_id}})}

    def note(
        self,
        brand_id: str,
        endpoint_id: str,
        *,
        now: datetime,
        succeeded: int = 0,
        failed: int = 0,
        mark: str = "",
        alert: bool = False,
        blocked: int = 0,
        outcomes: Mapping[str, int] | None = None,
        location_host: str = "",
        known: Health | None = None,
    ) -> list[Notice]:
        """Note how a run went; answers what the brand is to be told, to the one caller whose note made it so.

        Nothing is written when nothing changes and the last success was a few minutes ago.

        Args:
            known: what `of` answered before the run, which saves reading it again.
        """
        seen = Seen(succeeded, failed, blocked, mark, alert, outcomes or {}, location_host)
        for _ in range(_ROUNDS):
            before = self.of(brand_id, endpoint_id) if known is None else known
            health, notices = self._rules.after(endpoint_id, before, seen, now)
            if health == before or self._change(brand_id, endpoint_id, before, health):
                return notices
            known = None  # somebody else noted something meanwhile
        raise StoreUnavailable("too many wrote at once")

    def disable(self, brand_id: str, endpoint_id: str, reason: DisabledReason, now: datetime) -> bool:
        """Disable an endpoint; False when it is disabled already, for whatever reason."""
        change = {
            "$set": {
                "brand_id": brand_id,
                "endpoint_id": endpoint_id,
                "disabled": reason.value,
                "disabled_at": now,
                "told": True,
            },
            "$inc": {"version": 1},
        }
        with translated():
            try:
                self._health.update_one({"_id": _key(brand_id, endpoint_id), "disabled": None}, change, upsert=True)
            except DuplicateKeyError:  # the document is there, and says that it is disabled
                return False
        return True

    def enable(self, brand_id: str, endpoint_id: str, now: datetime) -> bool:
        """Enable a disabled endpoint and forget its failures; False when it is not disabled."""
        with translated():
            return (
                self._health.update_one(
                    {"_id": _key(brand_id, endpoint_id), "disabled": {"$gt": ""}},
                    {"$unset": _FORGOTTEN, "$set": {"enabled_at": now}, "$inc": {"version": 1}},
                ).matched_count
                == 1
            )

    def remove(self, brand_id: str, endpoint_id: str) -> None:
        """Forget an endpoint that was deleted."""
        with translated():
            self._health.delete_one({"_id": _key(brand_id, endpoint_id)})

    def _change(self, brand_id: str, endpoint_id: str, before: Health, health: Health) -> bool:
        document = _document(brand_id, endpoint_id, health._replace(version=before.version + 1))
        with translated():
            if before.version:
                same = {"_id": document["_id"], "version": before.version}
                return self._health.replace_one(same, document).matched_count == 1
            try:
                self._health.insert_one(document)
            except DuplicateKeyError:
                return False
        return True


def _key(brand_id: str, endpoint_id: str) -> dict[str, str]:
    # Both: an endpoint's id from brands.yaml is unique only within its brand.
    return {"brand_id": brand_id, "endpoint_id": endpoint_id}


def _document(brand_id: str, endpoint_id: str, health: Health) -> Document:
    """Only what differs from an endpoint of which nothing is known."""
    fields: dict[str, Any] = {
        name: value for name, value in health._asdict().items() if value != getattr(_NOTHING, name)
    }
    if health.disabled is not None:
        fields["disabled"] = health.disabled.value
    return {"_id": _key(brand_id, endpoint_id), "brand_id": brand_id, "endpoint_id": endpoint_id, **fields}


def _health(document: Document) -> Health:
    fields = {name: document[name] for name in Health._fields if name in document}
    if "disabled" in fields:
        fields["disabled"] = DisabledReason(fields["disabled"])
    for name in ("windows", "strikes"):
        if name in fields:
            fields[name] = tuple(fields[name])
    return Health(**fields)
