"""The shape of a brand's endpoints and event queue in brands.yaml."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from app.brands.secrets import check_reference
from app.brands.strict import Strict
from app.lib.header_rules import check_headers
from app.lib.http_url import IpNetwork, check_endpoint_url
from app.lib.retry_delays import check_delays
from app.models.delivery import PayloadMode, Transport
from app.models.endpoint_health import OPERATIONAL_TYPES
from app.models.event import PUBLIC_KINDS

EVENT_TYPES = frozenset(kind.public_type for kind in PUBLIC_KINDS) | OPERATIONAL_TYPES
EVENT_QUEUE_ID = "event_queue"
"""The endpoint that a brand's event queue is."""
_ENDPOINT_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """What the operator allows of every endpoint URL in the file."""

    allow_http: bool = False
    extra_ports: frozenset[int] = frozenset()
    allow_networks: tuple[IpNetwork, ...] = ()


def _endpoint_id(text: str) -> str:
    if text.startswith("ep_"):
        raise ValueError("must not begin with ep_: those ids belong to endpoints made by the API")
    if text == EVENT_QUEUE_ID:
        raise ValueError(f"must not be {EVENT_QUEUE_ID}: that is the brand's own event queue")
    if not _ENDPOINT_ID.fullmatch(text):
        raise ValueError("must be 1 to 40 lower-case letters, digits, - or _, beginning with a letter or digit")
    return text


def _event_type(text: str) -> str:
    if text not in EVENT_TYPES:
        raise ValueError(f"must be one of {', '.join(sorted(EVENT_TYPES))}")
    return text


def _endpoint_url(text: str, info: ValidationInfo) -> str:
    rules = info.context if isinstance(info.context, EndpointRules) else EndpointRules()
    return check_endpoint_url(
        text, allow_http=rules.allow_http, extra_ports=rules.extra_ports, allow_networks=rules.allow_networks
    )


def _headers(headers: dict[str, str]) -> dict[str, str]:
    return dict(check_headers(headers.items()))


Reference = Annotated[str, AfterValidator(check_reference)]
# Three at most: current, next, and one that is still being rotated out.
Secrets = Annotated[tuple[Reference, ...], Field(min_length=1, max_length=3)]
EventTypes = frozenset[Annotated[str, AfterValidator(_event_type)]]


class BatchingSchema(Strict):
    max_events: Annotated[int, Field(ge=1, le=500)] = 100
    max_bytes: Annotated[int, Field(ge=4096, le=262_144)] = 262_144
    max_wait_seconds: Annotated[float, Field(ge=1, le=60)] = 5.0


class EndpointSchema(Strict):
    id: Annotated[str, AfterValidator(_endpoint_id)]
    url: Annotated[str, AfterValidator(_endpoint_url)] | None = None
    secrets: Secrets
    events: EventTypes = frozenset()
    mode: PayloadMode = PayloadMode.THIN
    deadline_seconds: Annotated[float, Field(ge=5, le=30)] = 15.0
    max_in_flight: Annotated[int, Field(ge=1, le=64)] = 8
    transport: Transport = Transport.HTTP
    queue: Reference | None = None
    batching: BatchingSchema | None = None
    headers: Annotated[dict[str, str], AfterValidator(_headers)] = Field(default_factory=dict)
    strict: bool = False
    rate_per_second: Annotated[float, Field(ge=0.1, le=10_000)] | None = None
    delays: Annotated[tuple[float, ...], AfterValidator(check_delays)] = ()
    fallback_attempts: Annotated[int, Field(ge=1, le=10)] = 4

    @model_validator(mode="after")
    def _has_where_to_go(self) -> Self:
        if self.transport is not Transport.QUEUE and self.url is None:
            raise ValueError("url must be there, unless transport is queue")
        if self.transport is not Transport.HTTP and self.queue is None:
            raise ValueError("queue must be there when transport is queue or http_then_queue")
        if self.transport is Transport.HTTP and self.queue is not None:
            raise ValueError("queue is of use only when transport is queue or http_then_queue")
        return self


class EventQueueSchema(Strict):
    queue: Reference
    secrets: Secrets
    events: EventTypes = frozenset()
    mode: PayloadMode = PayloadMode.THIN
    batching: BatchingSchema | None = None
