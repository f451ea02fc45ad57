"""What `/v1/recipients` takes and gives."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, model_validator

from app.web.api.fields import Address, Answer, Reference, Schema


class PersonRef(Schema):
    """A person: by their address, or by a message that was sent to them."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": [name], "properties": {name: {"type": "string"}}} for name in ("address", "message_id")
            ]
        }
    )

    address: Address | None = Field(default=None, description="An email address or a phone number in E.164 form.")
    message_id: Reference | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> PersonRef:
        if (self.address is None) == (self.message_id is None):
            raise ValueError("give either address or message_id")
        return self


class ErasePerson(PersonRef):
    suppress: bool = Field(
        default=True, description="Keep them from being written to again. Existing suppressions stay in any case."
    )


class ErasedAnswer(Answer):
    messages: int = Field(description="How many messages this call made nameless.")
    complete: bool = Field(description="False: there are more, call again.")
    suppressed: bool


class ExportPerson(PersonRef):
    cursor: Reference | None = Field(default=None, description="`next_cursor` of the page before.")
    limit: int = Field(default=50, ge=1, le=200)


class SuppressionAnswer(Answer):
    list_id: str = Field(description="`*` is everything of the brand.")
    reason: str
    at: str = Field(json_schema_extra={"format": "date-time"})


class HeldMessage(Answer):
    id: str
    channel: str
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    campaign_id: str | None = None
    list_id: str | None = None
    job_source: str | None = None
    address: str | None = None
    recipient_id: str | None = None
    name: str | None = None
    metadata: dict[str, str]
    values: dict[str, str]
    events: list[dict[str, Any]] = Field(
        description=(
            "As in `GET /v1/events`, with `personal`: what was encrypted for this person. Also what that call leaves "
            "out: looks at the unsubscribe page (`message.viewed`), and opens that only a click tells of (`implied`)."
        )
    )


class PersonAnswer(Answer):
    address_hash: str
    suppressions: list[SuppressionAnswer]
    messages: list[HeldMessage]
    next_cursor: str | None
