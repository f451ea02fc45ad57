"""A brand's indexes in OpenSearch: made, filled, emptied. What is asked of them is in `finder`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError

from app.errors import StoreUnavailable
from app.lib import ids
from app.models.event import Event, EventKind
from app.models.search import MOST_EXPIRED, NO_REFERENCES, References
from app.search.busy import SearchBusy
from app.search.client import TOO_MANY_REQUESTS, translated
from app.search.documents import MAPPINGS, to_document
from app.search.names import Names

_NEWER_IS_THERE = 409
_CLIENT_ERRORS = range(400, 500)
_BLOCKED = 403
"""Its disk is nearly full: nothing is wrong with what was sent."""
_SECONDS = 20.0
_DELETE_SECONDS = 30.0


class Refused(NamedTuple):
    """An event that OpenSearch will never take."""

    event_id: bytes
    status: int


class EventIndex:
    """Args:
    shards, replicas: of each month of a brand.
    """

    def __init__(self, client: OpenSearch, names: Names, *, shards: int = 1, replicas: int = 0) -> None:
        self._client = client
        self._names = names
        self._settings = {
            "number_of_shards": shards,
            "number_of_replicas": replicas,
            # A run makes what it put in visible itself, once at its end.
            "refresh_interval": "-1",
            # A brand's days of an outage are caught up in batches, each synced: a request is durable when answered.
            "translog.durability": "request",
        }

    def generation(self, brand_id: str) -> str:
        """The name under which a brand's index was begun; empty when there is none, or somebody took it away."""
        name = self._names.template(brand_id)
        with translated():
            try:
                found = self._client.indices.get_index_template(name=name, params={"request_timeout": _SECONDS})
            except NotFoundError:
                return ""
        templates = found["index_templates"]
        return str(templates[0]["index_template"].get("_meta", {}).get("generation", "")) if templates else ""

    def begin(self, brand_id: str, generation: str, most_days: int) -> None:
        """Delete what a brand has, and put up the template that its new indexes are made by."""
        self.drop(brand_id)
        body = {
            "index_patterns": [self._names.every(brand_id)],
            "template": {"settings": {"index": self._settings}, "mappings": MAPPINGS},
            "_meta": {"generation": generation, "brand": brand_id, "kept_days": most_days},
        }
        with translated():
            self._client.indices.put_index_template(
                name=self._names.template(brand_id), body=body, params={"request_timeout": _SECONDS}
            )

    def drop(self, brand_id: str) -> None:
        """Delete a brand's indexes and their template."""
        self._delete(self._all(brand_id))
        with translated():
            self._client.indices.delete_index_template(
                name=self._names.template(brand_id), params={"ignore": 404, "request_timeout": _SECONDS}
            )

    def put(self, events: Sequence[Event], references: Mapping[int, References], version: int) -> list[Refused]:
        """Put events in the place of whatever is there of them, unless that has a higher version.

        Args:
            references: by the start of a block.

        Returns:
            those that OpenSearch will never take.
        Raises:
            SearchBusy: send fewer, later; some may be in.
            StoreUnavailable: some may be missing; put all of them again.
        """
        if not events:
            return []
        lines = bytearray()
        for event in events:
            place = {
                "_index": self._names.of(event.brand_id, event.recorded_ms),
                "_id": ids.to_text(event.id),
                "version": version,
                "version_type": "external_gte",
            }
            lines += orjson.dumps({"index": place}) + b"\n"
            lines += orjson.dumps(to_document(event, references.get(event.block, NO_REFERENCES))) + b"\n"
        with translated():
            answer = self._client.bulk(
                body=lines.decode(), params={"request_timeout": _SECONDS, "filter_path": "errors,items.*.status"}
            )
        return _refused(events, answer) if answer["errors"] else []

    def refresh(self, brand_id: str) -> None:
        """Make visible what was put in."""
        params = {"request_timeout": _SECONDS, "ignore_unavailable": "true", "allow_no_indices": "true"}
        with translated():
            answer = self._client.indices.refresh(index=self._names.every(brand_id), params=params)
        if answer["_shards"]["failed"]:
            raise StoreUnavailable("refresh")

    def expire(self, brand_id: str, before_ms: Mapping[EventKind, int]) -> int:
        """Delete what was recorded before the moment of its kind: whole months, then at most `MOST_EXPIRED` events.

        Returns:
            how many events were deleted one by one.
        """
        last = min(before_ms.values())
        self._delete(name for name in self._all(brand_id) if self._names.end_ms(name) <= last)
        past = [
            {"bool": {"filter": [{"term": {"kind": kind.value}}, {"range": {"recorded": {"lt": before}}}]}}
            for kind, before in before_ms.items()
        ]
        body = {"query": {"bool": {"filter": [{"term": {"brand": brand_id}}, {"bool": {"should": past}}]}}}
        params = {
            "request_timeout": _DELETE_SECONDS,
            "conflicts": "proceed",
            "max_docs": MOST_EXPIRED,
            "ignore_unavailable": "true",
            "allow_no_indices": "true",
        }
        with translated():
            answer = self._client.delete_by_query(index=self._names.every(brand_id), body=body, params=params)
        return int(answer["deleted"])

    def count(self, brand_id: str) -> int:
        """How many events of a brand are in the index."""
        params = {"request_timeout": _SECONDS, "ignore_unavailable": "true", "allow_no_indices": "true"}
        with translated():
            return int(self._client.count(index=self._names.every(brand_id), params=params)["count"])

    def _all(self, brand_id: str) -> list[str]:
        params = {"request_timeout": _SECONDS, "ignore_unavailable": "true", "filter_path": "*.settings.index.uuid"}
        with translated():
            return sorted(self._client.indices.get(index=self._names.every(brand_id), params=params))

    def _delete(self, names: Iterable[str]) -> None:
        # By name: a pattern may be forbidden (`action.destructive_requires_name`), and deletes what it should not.
        for name in names:
            with translated():
                self._client.indices.delete(index=name, params={"ignore": 404, "request_timeout": _SECONDS})


def _refused(events: Sequence[Event], answer: Mapping[str, Any]) -> list[Refused]:
    refused: list[Refused] = []
    for event, item in zip(events, answer["items"], strict=True):
        status = item["index"]["status"]
        if status == TOO_MANY_REQUESTS:
            raise SearchBusy("bulk")
        if status < 400 or status == _NEWER_IS_THERE:
            continue
        if status not in _CLIENT_ERRORS or status == _BLOCKED:
            raise StoreUnavailable("bulk")
        refused.append(Refused(event.id, status))
    return refused
