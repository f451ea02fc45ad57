"""An endpoint as a document of the collection `endpoints` and back: what is sealed in it and what stands in the clear.

Sealed are URL, queue, headers, secrets and the owner's own words: each may hold a credential. What routing and claims
ask for stands in the clear, so that they open nothing.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from app.lib import clock
from app.models.delivery import Batching, Endpoint, PayloadMode, Secret, Transport
from app.storage.blocks import Sealer
from app.storage.client import Document

PURPOSE = "endpoint"


@dataclass(frozen=True, slots=True)
class StoredEndpoint:
    """An endpoint and what the API shows besides."""

    endpoint: Endpoint
    created_at: datetime
    description: str = ""


def to_document(stored: StoredEndpoint, sealer: Sealer) -> Document:
    """Everything of an endpoint that can change, and what it is called; not its place and its history."""
    endpoint, batching = stored.endpoint, stored.endpoint.batching
    sealed = sealer.seal(endpoint.brand_id, PURPOSE, orjson.dumps(_hidden(stored)))
    return {
        "_id": endpoint.id,
        "brand_id": endpoint.brand_id,
        "sealed": sealed,
        "kn": sealer.number_of(sealed),
        "events": sorted(endpoint.events),
        "mode": endpoint.mode.value,
        "deadline_seconds": endpoint.deadline_seconds,
        "max_in_flight": endpoint.max_in_flight,
        "transport": endpoint.transport.value,
        "batching": batching and [batching.max_events, batching.max_bytes, batching.max_wait_seconds],
        "strict": endpoint.strict,
        "rate_per_second": endpoint.rate_per_second,
        "delays": list(endpoint.delays),
        "fallback_attempts": endpoint.fallback_attempts,
        "created_at": stored.created_at,
    }


def from_document(document: Document, sealer: Sealer) -> StoredEndpoint:
    """Opens what is sealed."""
    hidden = orjson.loads(sealer.open(document["brand_id"], PURPOSE, bytes(document["sealed"])))
    endpoint = _endpoint(
        document,
        url=hidden["url"],
        secrets=tuple(_secret(one) for one in hidden["secrets"]),
        queue=hidden.get("queue", ""),
        headers=tuple((name, value) for name, value in hidden.get("headers", ())),
    )
    return StoredEndpoint(
        endpoint=endpoint,
        created_at=document["created_at"],
        description=hidden.get("description", ""),
    )


def for_routing(document: Document) -> Endpoint:
    """Without anything that is sealed."""
    return _endpoint(document, url="", secrets=())


def _hidden(stored: StoredEndpoint) -> dict[str, Any]:
    endpoint = stored.endpoint
    return {
        "url": endpoint.url,
        "queue": endpoint.queue,
        "headers": endpoint.headers,
        "description": stored.description,
        "secrets": [
            {
                "id": one.id,
                "key": base64.b64encode(one.key).decode("ascii"),
                "created_ms": _to_ms(one.created_at),
                "expires_ms": _to_ms(one.expires_at),
            }
            for one in endpoint.secrets
        ],
    }


def _secret(one: Any) -> Secret:
    if isinstance(one, str):  # from before secrets had ids
        return Secret(base64.b64decode(one))
    return Secret(base64.b64decode(one["key"]), one["id"], _from_ms(one["created_ms"]), _from_ms(one["expires_ms"]))


def _endpoint(document: Document, **hidden: Any) -> Endpoint:
    """The fields that have a default are missing in documents from before there were such fields."""
    batching = document.get("batching")
    return Endpoint(
        id=document["_id"],
        brand_id=document["brand_id"],
        events=frozenset(document["events"]),
        mode=PayloadMode(document["mode"]),
        deadline_seconds=document["deadline_seconds"],
        max_in_flight=document["max_in_flight"],
        transport=Transport(document.get("transport", Transport.HTTP)),
        batching=Batching(*batching) if batching else None,
        strict=document.get("strict", False),
        rate_per_second=document.get("rate_per_second"),
        delays=tuple(document.get("delays", ())),
        fallback_attempts=document.get("fallback_attempts", 4),
        **hidden,
    )


def _to_ms(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


def _from_ms(ms: int | None) -> datetime | None:
    return None if ms is None else clock.from_ms(ms)
