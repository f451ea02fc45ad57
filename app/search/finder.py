"""Asks the index. Everything that somebody wrote goes into exact terms: nothing in it is a query language's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opensearchpy import OpenSearch

from app.errors import StoreUnavailable
from app.lib import ids
from app.models.event import EventKind
from app.models.search import (
    MOST_VALUES,
    Facet,
    FacetCounts,
    Interval,
    SearchPlace,
    SearchQuery,
    Summary,
    Word,
)
from app.search.client import translated
from app.search.names import Names

_FIELDS = {Facet.TYPE: "kind", Facet.VERDICT: "verdict", Facet.REASON: "reason", Facet.CAMPAIGN: "campaign"}
_SHARD_VALUES = 10_000
"""Values that each shard counts: below that, figures are exact. Above, MongoDB is asked."""


class IndexSearch:
    """A `Finder` (app.models.search)."""

    def __init__(self, client: OpenSearch, names: Names) -> None:
        self._client = client
        self._names = names

    def page(self, query: SearchQuery, *, before: SearchPlace | None, limit: int, seconds: float) -> list[SearchPlace]:
        body: dict[str, Any] = {
            "size": limit,
            "sort": [{"recorded": "desc"}, {"id": "desc"}],
            "track_total_hits": False,
        }
        if before is not None:
            body["search_after"] = [before[0], ids.to_text(before[1])]
        answer = self._ask(query, body, seconds)
        return [(int(hit["sort"][0]), ids.from_text(hit["sort"][1])) for hit in answer["hits"]["hits"]]

    def summary(
        self, query: SearchQuery, *, facets: Iterable[Facet], interval: Interval | None, seconds: float
    ) -> Summary:
        wanted = tuple(facets)
        parts: dict[str, Any] = {facet.value: _terms(facet) for facet in wanted}
        if interval is not None:
            parts["histogram"] = {"histogram": {"field": "recorded", "interval": interval.ms, "min_doc_count": 1}}
        answer = self._ask(query, {"size": 0, "track_total_hits": True, "aggs": parts}, seconds)
        found = answer.get("aggregations", {})
        rows = found["histogram"]["buckets"] if interval is not None and found else []
        return Summary(
            total=int(answer["hits"]["total"]["value"]),
            facets={facet: _counts(facet, found.get(facet.value)) for facet in wanted},
            histogram=[(int(row["key"]), int(row["doc_count"])) for row in rows],
        )

    def _ask(self, query: SearchQuery, body: dict[str, Any], seconds: float) -> Any:
        names = list(self._names.between(query.brand_id, query.first_ms, query.until_ms))
        params = {
            "request_timeout": seconds,
            "timeout": f"{int(seconds * 1000)}ms",
            "ignore_unavailable": "true",
            "allow_no_indices": "true",
            "allow_partial_search_results": "false",
        }
        body = {"query": {"bool": {"filter": _conditions(query)}}, "_source": False, **body}
        with translated():
            answer = self._client.search(index=",".join(names), body=body, params=params)
        if answer["timed_out"] or answer["_shards"]["failed"]:
            raise StoreUnavailable("search")
        return answer


def _conditions(query: SearchQuery) -> list[dict[str, Any]]:
    # The brand again: the names of the indexes are its own already.
    plain = {
        "brand": query.brand_id,
        "verdict": None if query.verdict is None else query.verdict.value,
        "counted": query.counted,
        "reason": query.reason,
        "campaign": query.campaign_id,
        "list": query.list_id,
        "job_source": query.job_source,
    }
    found: list[dict[str, Any]] = [{"term": {name: value}} for name, value in plain.items() if value is not None]
    found += [{"term": {"message": number}} for number in query.messages]
    found += [_has(word) for word in query.words]
    if query.links is not None:
        found.append({"bool": {"should": [_of_link(*places) for places in query.links], "minimum_should_match": 1}})
    kinds = [_recorded(kind, since, query.until_ms) for kind, since in query.since_ms.items()]
    return [*found, {"bool": {"should": kinds, "minimum_should_match": 1}}]


def _recorded(kind: EventKind, since_ms: int, until_ms: int) -> dict[str, Any]:
    times = {"range": {"recorded": {"gte": since_ms, "lt": until_ms}}}
    return {"bool": {"filter": [{"term": {"kind": kind.value}}, times]}}


def _of_link(slot: int, blocks: tuple[int, ...]) -> dict[str, Any]:
    return {"bool": {"filter": [{"term": {"slot": slot}}, {"terms": {"block": list(blocks)}}]}}


def _has(word: Word) -> dict[str, Any]:
    return {"prefix": {"word": {"value": word.text}}} if word.beginning else {"term": {"word": word.text}}


def _terms(facet: Facet) -> dict[str, Any]:
    order = [{"_count": "desc"}, {"_key": "asc"}]
    return {
        "terms": {"field": _FIELDS[facet], "size": MOST_VALUES, "shard_size": _SHARD_VALUES, "order": order},
    }


def _counts(facet: Facet, found: Any) -> FacetCounts:
    if found is None:  # there is no index of these months
        return FacetCounts([], 0)
    if found["doc_count_error_upper_bound"]:
        raise StoreUnavailable("too many values to count exactly")
    values = [(_name(facet, row["key"]), int(row["doc_count"])) for row in found["buckets"]]
    return FacetCounts(values, int(found["sum_other_doc_count"]))


def _name(facet: Facet, value: str) -> str:
    return EventKind(value).public_type if facet is Facet.TYPE else value
