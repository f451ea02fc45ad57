"""What the calls take and give. The same classes validate requests and make the OpenAPI document.

What registers messages is in `message_schemas`, what is about webhooks in `webhook_schemas`, what only one call needs
stands beside it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.web.api.fields import (
    Answer,
    ChannelName,
    Moment,
    Reference,
    Schema,
)

MAX_PAGE = 500

EventType = Literal["message.sent", "message.opened", "message.clicked", "message.unsubscribed", "message.reclassified"]
VerdictName = Literal["human", "proxy", "machine"]


class NewEvent(Schema):
    type: Literal["sent"]
    at: Moment | None = Field(
        default=None,
        description="When it happened, RFC 3339; now by default, at most 5 minutes ahead.",
        json_schema_extra={"format": "date-time"},
    )


class JudgementAnswer(Answer):
    """What was said of an event, at one time."""

    verdict: VerdictName
    counted: bool
    reasons: list[str]


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
    verdict: VerdictName = Field(description="As it is now: a correction changes it, and is an event of its own.")
    reasons: list[str]
    rules_version: str
    position: Literal["header", "footer"] | None = Field(default=None, description="Of the pixel.")
    link_id: str | None = None
    url: str | None = Field(default=None, description="Where the clicked link leads.")
    user_agent: str | None = None
    client: str | None = Field(default=None, description="The client's network, if the brand keeps it.")
    method: str | None = Field(default=None, description="How somebody unsubscribed.")
    query: str | None = Field(default=None, description="The query fields the brand allows on its URLs.")
    event_id: str | None = Field(default=None, description="Of a correction: the event that it corrects.")
    event_type: EventType | None = Field(default=None, description="Of the corrected event.")
    event_timestamp: str | None = Field(
        default=None,
        description="When the corrected event happened; `timestamp` is when it was corrected.",
        json_schema_extra={"format": "date-time"},
    )
    before: JudgementAnswer | None = Field(default=None, description="Of a correction: what was said until then.")
    after: JudgementAnswer | None = Field(default=None, description="And what is said since.")


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
    address: str | None = Field(default=None, description="Absent when a sealed token named none.")
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
    erased: bool = Field(description="The recipient was erased, or the message is past its retention.")
    recipient: RecipientAnswer | None = Field(
        default=None, description="Absent once it is erased, and of a link for nobody."
    )
    metadata: dict[str, str]
    first_human_opened_at: str | None = Field(
        default=None,
        description="The first counted open by a person, not through a proxy; a click implies one. Absent without any.",
        json_schema_extra={"format": "date-time"},
    )
    first_human_clicked_at: str | None = Field(
        default=None,
        description="The first counted click by a person. Absent without any.",
        json_schema_extra={"format": "date-time"},
    )
    events: list[EventAnswer] = Field(description="The timeline, oldest first, at most 1,000 events.")


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
