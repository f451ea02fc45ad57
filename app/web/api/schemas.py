"""What the calls take and give. The same classes validate requests and make the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from app.messages.addresses import check_address
from app.models.block import Channel
from app.web.api.fields import (
    MAX_METADATA_BYTES,
    MAX_METADATA_KEY,
    Address,
    Answer,
    EndpointId,
    Metadata,
    Moment,
    Name,
    Reference,
    Schema,
    Url,
    metadata_bytes,
)

MAX_RECIPIENTS = 1000
MAX_CONTENT_CHARS = 2 * 1024 * 1024
MAX_PAGE = 500

ChannelName = Literal["email", "sms"]
EventType = Literal["message.sent", "message.opened", "message.clicked", "message.unsubscribed"]


def _small(metadata: dict[str, str]) -> dict[str, str]:
    if metadata_bytes(metadata) > MAX_METADATA_BYTES:
        raise ValueError(f"must not be larger than {MAX_METADATA_BYTES} bytes together")
    return metadata


SmallMetadata = Annotated[
    Metadata,
    AfterValidator(_small),
    Field(
        description="String to string, 2 KiB together; keys do not begin with `$` and have no `.`.",
        # What pydantic checks but does not write for the keys of a dict.
        json_schema_extra={"additionalProperties": False, "propertyNames": {"maxLength": MAX_METADATA_KEY}},
    ),
]


class NewContent(Schema):
    """Email: html, text or both. SMS: text only."""

    html: str | None = Field(default=None, min_length=1, max_length=MAX_CONTENT_CHARS)
    text: str | None = Field(default=None, min_length=1, max_length=MAX_CONTENT_CHARS)


class NewRecipient(Schema):
    address: Address = Field(description="An email address, or a phone number in E.164 form.")
    id: Reference | None = Field(default=None, description="Your own id of this contact.")
    name: Name | None = None
    metadata: SmallMetadata = Field(default_factory=dict, description="Wins over the shared metadata, key by key.")


class NewMessages(Schema):
    """One message, or a batch of recipients who get the same content."""

    channel: ChannelName
    content: NewContent
    recipients: list[NewRecipient] = Field(min_length=1, max_length=MAX_RECIPIENTS)
    campaign_id: Reference | None = None
    list_id: Reference | None = Field(default=None, description="What an unsubscribe leaves.")
    job_source: Reference | None = Field(default=None, description="Where the traffic came from: board, partner, feed.")
    metadata: SmallMetadata = Field(default_factory=dict)
    pixel: Literal["header", "footer", "both", "none"] | None = Field(
        default=None, description="Where the open pixel goes; without it as the brand is set up."
    )
    return_: Literal["content", "links"] = Field(
        default="content", alias="return", description="`links` leaves the rewritten content out of the answer."
    )

    @model_validator(mode="after")
    def _fits_channel(self) -> NewMessages:
        if self.channel == "sms":
            if self.content.html is not None or self.content.text is None:
                raise ValueError("an SMS has text and no html")
            if self.pixel not in (None, "none"):
                raise ValueError("an SMS has no pixel")
        elif self.content.html is None and self.content.text is None:
            raise ValueError("an email needs html, text or both")
        return self

    def faults(self) -> list[dict[str, str]]:
        """What is wrong with each recipient for this channel; pointers as in a problem document."""
        channel = Channel(self.channel)
        found: list[dict[str, str]] = []
        for index, recipient in enumerate(self.recipients):
            try:
                check_address(channel, recipient.address)
            except ValueError as error:
                found.append({"pointer": f"/recipients/{index}/address", "detail": str(error)})
            if metadata_bytes(self.metadata, recipient.metadata) > MAX_METADATA_BYTES:
                detail = f"with the shared metadata larger than {MAX_METADATA_BYTES} bytes"
                found.append({"pointer": f"/recipients/{index}/metadata", "detail": detail})
        return found


class TrackedLink(Answer):
    id: str = Field(description="`lnk_` and the link's place in the content, from 1; the same for every recipient.")
    url: str
    tracked_url: str


class RegisteredMessage(Answer):
    id: str
    recipient_id: str | None = None
    html: str | None = None
    text: str | None = None
    pixel_url: str | None = Field(default=None, description="Absent when opens are not tracked.")
    links: list[TrackedLink]
    unsubscribe_url: str
    headers: dict[str, str] | None = Field(default=None, description="Email only: add these to the message.")


class RegisteredMessages(Answer):
    messages: list[RegisteredMessage] = Field(description="In the order of `recipients`.")


class NewEvent(Schema):
    type: Literal["sent"]
    at: Moment | None = Field(
        default=None,
        description="When it happened, RFC 3339; now by default, at most 5 minutes ahead.",
        json_schema_extra={"format": "date-time"},
    )


class EventAnswer(Answer):
    """Something that happened to a message, with what was decided about it and why."""

    id: str
    type: EventType
    timestamp: str = Field(description="When it happened.", json_schema_extra={"format": "date-time"})
    recorded_at: str = Field(description="When it was stored.", json_schema_extra={"format": "date-time"})
    message_id: str
    campaign_id: str | None = None
    first: bool = Field(description="The first counted event of its kind for its message.")
    counted: bool
    verdict: Literal["human", "proxy", "machine"]
    reasons: list[str]
    rules_version: str
    position: Literal["header", "footer"] | None = Field(default=None, description="Of the pixel.")
    link_id: str | None = None
    url: str | None = Field(default=None, description="Where the clicked link leads.")
    user_agent: str | None = None
    client: str | None = Field(default=None, description="The client's network, if the brand keeps it.")
    method: str | None = Field(default=None, description="How somebody unsubscribed.")
    query: str | None = Field(default=None, description="The query fields the brand allows on its URLs.")


class EventQuery(Schema):
    type: EventType | None = None
    campaign_id: Reference | None = None
    cursor: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )
    limit: int = Field(default=100, ge=1, le=MAX_PAGE, strict=False)


class EventPage(Answer):
    events: list[EventAnswer]
    next_cursor: str | None = Field(description="Where to go on, now or later. Null only when nothing was ever seen.")
    has_more: bool = Field(description="Whether another page is there already.")


class RecipientAnswer(Answer):
    id: str | None = None
    address: str
    name: str | None = None
    address_hash: str


class MessageAnswer(Answer):
    id: str
    channel: ChannelName
    state: Literal["registered", "sent", "opened", "clicked", "unsubscribed"] = Field(
        description="How far it got, by counted events only."
    )
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    campaign_id: str | None = None
    list_id: str | None = None
    job_source: str | None = None
    recipient: RecipientAnswer
    metadata: dict[str, str]
    events: list[EventAnswer] = Field(description="The timeline, oldest first, at most 1,000 events.")


class NewEndpoint(Schema):
    url: Url = Field(description="https, a public host name, port 443 or 8443.")
    events: list[EventType] = Field(default_factory=list, max_length=20, description="Empty: all of them.")
    mode: Literal["thin", "full"] = Field(default="thin", description="`full` adds address and client to the events.")


class EndpointAnswer(Answer):
    id: str
    url: str
    events: list[str]
    mode: Literal["thin", "full"]
    source: Literal["api", "file"] = Field(
        description="`file`: from the operator's brands file; cannot be deleted here."
    )


class CreatedEndpoint(EndpointAnswer):
    secret: str = Field(description="Signs the webhooks (Standard Webhooks). Shown only now.")


class EndpointList(Answer):
    endpoints: list[EndpointAnswer]


class DeliveryQuery(Schema):
    state: Literal["pending", "delivered", "dead"] | None = None
    endpoint_id: EndpointId | None = None
    cursor: Annotated[str, Field(max_length=200)] | None = None
    limit: int = Field(default=100, ge=1, le=MAX_PAGE, strict=False)


class AttemptAnswer(Answer):
    number: int
    started_at: str = Field(json_schema_extra={"format": "date-time"})
    seconds: float
    outcome: str
    status: int | None = None


class DeliveryAnswer(Answer):
    """One event to one endpoint."""

    id: str
    endpoint_id: str
    event_id: str = Field(description="Also the `webhook-id` of every attempt.")
    event_type: str
    state: Literal["pending", "delivered", "dead"]
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    next_attempt_at: str | None = Field(default=None, json_schema_extra={"format": "date-time"})
    attempts: int
    log: list[AttemptAnswer] = Field(description="The last attempts, oldest first.")


class DeliveryPage(Answer):
    deliveries: list[DeliveryAnswer]
    next_cursor: str | None


class FieldProblem(Answer):
    pointer: str = Field(description="JSON pointer (RFC 6901) into the body, or the name of a query parameter.")
    detail: str


class Problem(Answer):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="What a program switches on; never renamed. The docs page lists them all.")
    errors: list[FieldProblem] | None = None
