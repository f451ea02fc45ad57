"""What the calls about webhooks take and give: endpoints, their secrets, the delivery log, replays."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from app.web.api.fields import Answer, EndpointId, Moment, Schema, Url, plain_text
from app.web.api.schemas import MAX_PAGE, EventType

_DAY_SECONDS = 86_400.0
MAX_OVERLAP_SECONDS = 7 * 86_400
MAX_REPLAYED_EVENTS = 1_000

OperationalType = Literal["endpoint.failing", "endpoint.disabled", "endpoint.recovered", "deliveries.exhausted"]
Mode = Literal["thin", "full"]
TransportName = Literal["http", "queue", "http_then_queue"]
DeliveryStateName = Literal["pending", "delivered", "queued", "parked", "dead"]
ReplayedStateName = Literal["delivered", "queued", "parked", "dead"]
DisabledReasonName = Literal["gone", "unsafe_address", "failing", "owner"]
SecretText = Annotated[str, StringConstraints(max_length=100)]
EventId = Annotated[str, StringConstraints(pattern=r"^evt_[0-9A-HJKMNP-TV-Z]{26}$")]
_DATE_TIME: dict[str, Any] = {"format": "date-time"}


class BatchingSettings(Schema):
    """Several events in one request, `events.batch`."""

    max_events: int = Field(default=100, ge=1, le=500)
    max_bytes: int = Field(default=262_144, ge=16_384, le=262_144)
    max_wait_seconds: float = Field(default=5.0, ge=1, le=60, description="How long the first may wait for others.")


class EndpointSettings(Schema):
    """What an owner says about an endpoint; every field has a default."""

    url: Url | None = Field(
        default=None, description="https, a public host name, port 443 or 8443. Not needed for transport `queue`."
    )
    events: list[EventType | OperationalType] = Field(default=[], max_length=20, description="Empty: all of them.")
    mode: Mode = Field(default="thin", description="`full` adds address and client to the events.")
    transport: TransportName = Field(
        default="http", description="`http_then_queue`: what HTTP does not take goes into the queue."
    )
    queue: Annotated[str, plain_text(most=2048)] | None = Field(
        default=None,
        description="URL of the brand's message queue (`amqps://…`, `sqs://…`); shown without its password.",
    )
    batching: BatchingSettings | None = Field(default=None, description="Null: one event per request.")
    headers: dict[str, str] = Field(
        default={}, max_length=20, description="Sent along. Values are never shown again, names are."
    )
    strict: bool = Field(default=False, description="In order, one request at a time. Costs throughput.")
    rate_per_second: float | None = Field(
        default=None, ge=0.1, le=10_000, description="Requests at most. Null: no limit."
    )
    deadline_seconds: float = Field(default=15.0, ge=5, le=30, description="For a whole request.")
    max_in_flight: int = Field(default=8, ge=1, le=64, description="Requests at the same time.")
    delays: list[Annotated[float, Field(ge=1, le=_DAY_SECONDS)]] = Field(
        default=[],
        max_length=20,
        description="Seconds between attempts, 7 days together at most. Empty: as documented.",
    )
    fallback_attempts: int = Field(
        default=4, ge=1, le=20, description="`http_then_queue`: after so many failed attempts the queue gets it."
    )
    description: Annotated[str, StringConstraints(max_length=200)] = Field(default="", description="For people.")


class NewEndpoint(EndpointSettings):
    secret: SecretText | None = Field(
        default=None,
        description="A signing secret of your own: `whsec_` and standard base64 of 24-64 bytes. Made here by default.",
    )


def _without_defaults(schema: dict[str, Any]) -> None:
    """Of a change, what is left out stays as it is."""
    for about in schema["properties"].values():
        about.pop("default", None)


class EndpointChange(EndpointSettings):
    """What is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    disabled: bool = Field(default=False, description="True: nothing is sent, what arrives is parked.")
    recover: bool = Field(
        default=False, description="With `disabled: false`: what was parked or died meanwhile is replayed."
    )


class RotateSecret(Schema):
    overlap_seconds: int = Field(
        default=86_400, ge=0, le=MAX_OVERLAP_SECONDS, description="How long the secrets of now go on to sign."
    )
    secret: SecretText | None = Field(default=None, description="The new secret; made here by default.")


class SecretAnswer(Answer):
    id: str
    created_at: str | None = Field(default=None, json_schema_extra=_DATE_TIME)
    expires_at: str | None = Field(
        default=None, description="Absent: until it is rotated or revoked.", json_schema_extra=_DATE_TIME
    )


class BatchingAnswer(Answer):
    max_events: int
    max_bytes: int
    max_wait_seconds: float


class EndpointAnswer(Answer):
    id: str
    url: str | None = Field(default=None, description="Absent for transport `queue`.")
    events: list[str]
    mode: Mode
    source: Literal["api", "file"] = Field(
        description="`file`: from the operator's brands file; here it can only be disabled, enabled and tested."
    )
    transport: TransportName
    queue: str | None = Field(default=None, description="Without its user name and password.")
    batching: BatchingAnswer | None = None
    header_names: list[str]
    strict: bool
    rate_per_second: float | None = None
    deadline_seconds: float
    max_in_flight: int
    delays: list[float]
    fallback_attempts: int
    description: str
    secrets: list[SecretAnswer] = Field(description="That sign now, newest first, without the secrets themselves.")
    created_at: str | None = Field(default=None, json_schema_extra=_DATE_TIME)
    state: Literal["active", "disabled"]
    disabled_reason: DisabledReasonName | None = None
    disabled_at: str | None = Field(default=None, json_schema_extra=_DATE_TIME)
    failing_since: str | None = Field(default=None, description="Absent while it works.", json_schema_extra=_DATE_TIME)
    last_success_at: str | None = Field(
        default=None, description="Up to five minutes behind.", json_schema_extra=_DATE_TIME
    )
    mark: str | None = Field(default=None, description="What its owner should mend: `config`, `endpoint_redirects`.")
    location_host: str | None = Field(default=None, description="Where it redirects to, which is never followed.")
    replay_id: str | None = Field(default=None, description="Of a change with `recover`: the replay that began.")


class CreatedEndpoint(EndpointAnswer):
    secret: str = Field(description="Signs the webhooks (Standard Webhooks). Shown only now.")


class EndpointList(Answer):
    endpoints: list[EndpointAnswer]


class NewSecret(Answer):
    id: str
    secret: str = Field(description="Shown only now.")
    secrets: list[SecretAnswer] = Field(description="All that sign now, newest first.")


class TestAnswer(Answer):
    delivery_id: str = Field(description="How it went: `GET /v1/deliveries/{delivery_id}`.")
    event_id: str


class DeliveryQuery(Schema):
    state: DeliveryStateName | None = None
    endpoint_id: EndpointId | None = None
    cursor: Annotated[str, Field(max_length=200)] | None = None
    limit: int = Field(default=100, ge=1, le=MAX_PAGE, strict=False)


class AttemptAnswer(Answer):
    number: int
    started_at: str = Field(json_schema_extra=_DATE_TIME)
    seconds: float
    outcome: str
    status: int | None = None
    url: str | None = Field(default=None, description="Where it went. Only of one delivery, not in the list.")
    response: str | None = Field(
        default=None,
        description="The first 4 KiB of the answer. Only of one delivery, not in the list, nor of a batch.",
    )


class DeliveryAnswer(Answer):
    """What one request carries to one endpoint: an event or a batch of them."""

    id: str
    endpoint_id: str
    webhook_id: str = Field(description="Sent with every attempt: the event's id, or the batch's.")
    event_id: str = Field(description="Of a batch, the first event's.")
    event_type: str
    events: int = Field(description="How many events it carries.")
    event_ids: list[str] | None = Field(default=None, description="Of a batch, and only of one delivery.")
    state: DeliveryStateName
    created_at: str = Field(json_schema_extra=_DATE_TIME)
    next_attempt_at: str | None = Field(default=None, json_schema_extra=_DATE_TIME)
    attempts: int
    closed: str | None = Field(
        default=None,
        description="Why it is dead without a last attempt: `recipient_erased`, `too_large`, … Absent otherwise.",
    )
    log: list[AttemptAnswer] = Field(description="The last attempts, oldest first.")


class DeliveryPage(Answer):
    deliveries: list[DeliveryAnswer]
    next_cursor: str | None


class NewReplay(Schema):
    """By event ids, or by time: one of `event_ids` and `since`."""

    event_ids: list[EventId] | None = Field(
        default=None, min_length=1, max_length=MAX_REPLAYED_EVENTS, description="Of a batch, all of it is sent again."
    )
    endpoint_id: EndpointId | None = Field(default=None, description="Only this endpoint's.")
    since: Moment | None = Field(
        default=None, description="Deliveries made from then on.", json_schema_extra=_DATE_TIME
    )
    until: Moment | None = Field(
        default=None, description="And before then; now by default.", json_schema_extra=_DATE_TIME
    )
    states: list[ReplayedStateName] | None = Field(
        default=None,
        min_length=1,
        max_length=4,
        description="By default all of them with `event_ids`, otherwise `dead` and `parked`.",
    )
    recover: bool = Field(default=False, description="Everything `dead` or `parked` since then; not with `states`.")
    dry_run: bool = Field(default=False, description="Only count.")


class ReplayAnswer(Answer):
    id: str | None = Field(default=None, description="Absent of a dry run.")
    state: Literal["running", "done", "cancelled", "dry_run"]
    endpoint_id: str | None = None
    states: list[ReplayedStateName]
    since: str | None = Field(default=None, json_schema_extra=_DATE_TIME)
    until: str | None = Field(default=None, json_schema_extra=_DATE_TIME)
    created_at: str | None = Field(default=None, json_schema_extra=_DATE_TIME)
    finished_at: str | None = Field(default=None, json_schema_extra=_DATE_TIME)
    total: int = Field(description="Deliveries found when it began; of more than a million, a million.")
    done: int = Field(description="How many of them have been put back into the queue of what is sent.")


class ReplayList(Answer):
    replays: list[ReplayAnswer] = Field(description="The last ones, newest first.")
