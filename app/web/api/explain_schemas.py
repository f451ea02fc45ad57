"""What `GET /v1/messages/{id}/explain` answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.web.api.fields import Answer, ChannelName
from app.web.api.schemas import EventType, JudgementAnswer, VerdictName


class CodeInWords(Answer):
    code: str
    means: str


class CorrectionAnswer(Answer):
    event_id: str = Field(description="Of the `message.reclassified` event.")
    timestamp: str = Field(description="When it was corrected.", json_schema_extra={"format": "date-time"})
    before: JudgementAnswer
    after: JudgementAnswer
    why: str


class ExplainedEvent(Answer):
    """One event with the evidence for what is said of it."""

    id: str
    type: EventType | Literal["message.viewed"] = Field(
        description=(
            "`message.viewed`: the unsubscribe page was asked for. `message.reclassified` stands here only when the "
            "corrected event is not kept any more; usually a correction stands at its event."
        )
    )
    timestamp: str = Field(json_schema_extra={"format": "date-time"})
    seconds_after_sent: float | None = Field(
        default=None, description="Absent as long as nobody has reported the message as sent."
    )
    story: str = Field(description="All of it in plain words.")
    through: str | None = Field(
        default=None, description="The program, as far as its user agent tells, and the networks that it came from."
    )
    signals: list[CodeInWords] = Field(
        description="What was noticed of the request. Empty for events that are older than the noticing."
    )
    weak_signs: list[str] = Field(description="Reasons of one point each; several together make a machine.")
    points: int
    verdict: VerdictName
    counted: bool
    reasons: list[CodeInWords]
    rules_version: str = Field(description="The rule set that gave the verdict.")
    first: bool = Field(description="The first counted event of its kind for its message.")
    implied: bool = Field(description="No pixel was loaded, but a counted click says that the message was open.")
    corrections: list[CorrectionAnswer] = Field(description="Oldest first; `verdict` is as the last one left it.")
    position: Literal["header", "footer"] | None = Field(default=None, description="Of the pixel.")
    link_id: str | None = None
    url: str | None = None
    user_agent: str | None = None
    client: str | None = None
    method: str | None = None


class MessageExplained(Answer):
    """The story of a message."""

    id: str
    channel: ChannelName
    registered_at: str = Field(json_schema_extra={"format": "date-time"})
    sent_at: str | None = Field(
        default=None,
        description="When it was handed over, if somebody reported it.",
        json_schema_extra={"format": "date-time"},
    )
    erased: bool
    conclusion: str
    events: list[ExplainedEvent] = Field(description="Oldest first, at most 1,000.")
    more: bool = Field(description="The message has more events than are looked at here.")
