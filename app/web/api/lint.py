"""`/v1/messages/lint`: what would happen to each link, and why. The rules are in `app.tracking.link_rules`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from app.messages.lint import LintDraft, lint
from app.models.api_key import Scope
from app.models.block import Channel
from app.tracking.link_reasons import CAUTIONS, EXPLANATIONS, Caution, Reason
from app.tracking.personal import NAME
from app.web.api.fields import Answer, ChannelName, Reference, Schema
from app.web.api.message_schemas import NewContent, Segments, check_content, mime_of
from app.web.api.operation import Call, Operation, Reply

MAX_VALUE_NAMES = 100

ValueName = Annotated[str, StringConstraints(pattern=rf"^{NAME.replace('}+', '}')}$")]
"""Possessive quantifiers are unknown to the regular expressions of JSON Schema, and not needed there."""


def _table(sentences: dict[Reason, str] | dict[Caution, str]) -> str:
    return "\n".join(f"- `{code.value}`: {sentence}" for code, sentence in sentences.items())


class LintRequest(Schema):
    """A content as `POST /v1/messages` takes it."""

    channel: ChannelName = "email"
    content: NewContent
    values: list[ValueName] = Field(
        default_factory=list,
        max_length=MAX_VALUE_NAMES,
        description="Names of the values that every recipient will have: what fills personalised links.",
    )
    campaign_id: Reference | None = Field(default=None, description="Fills campaign parameters, like the next two.")
    list_id: Reference | None = None
    job_source: Reference | None = None

    @model_validator(mode="after")
    def _has_content(self) -> LintRequest:
        check_content(self.channel, self.content)
        return self


class LinkWarning(Answer):
    code: str = Field(description=f"One of:\n\n{_table(CAUTIONS)}")
    detail: str


class LintedLink(Answer):
    part: str = Field(description="`html` or `text`.")
    line: int = Field(description="From 1, in the part.")
    column: int = Field(description="From 1, in characters.")
    url: str = Field(description="As its reader sees it, character references decoded.")
    action: Literal["tracked", "left", "refused"] = Field(
        description="`refused`: `POST /v1/messages` would answer 422 because of it."
    )
    reason: str = Field(description=f"One of:\n\n{_table(EXPLANATIONS)}")
    explanation: str
    warnings: list[LinkWarning]
    link_id: str | None = Field(default=None, description="Of a tracked link: the same id is the same logical link.")
    destination: str | None = Field(default=None, description="Where a click lands; a template when personalised.")


class PartWarning(LinkWarning):
    part: str
    line: int | None = None
    column: int | None = None


class LintAnswer(Answer):
    links: list[LintedLink] = Field(description="The first 1,000, by part, in the order of the content.")
    warnings: list[PartWarning] = Field(description="About whole parts.")
    left_out: int = Field(description="How many links there were besides.")
    trap_link: bool = Field(
        description="Whether the html gets a hidden link that only machines follow, because the brand asks for it."
    )
    segments: Segments | None = Field(default=None, description="SMS only. At most: reckoned with the longest codes.")


def look(call: Call) -> Reply:
    body = call.body_as(LintRequest)
    draft = LintDraft(
        channel=Channel(body.channel),
        html=body.content.html,
        text=body.content.text,
        mime=mime_of(body.content),
        values=frozenset(body.values),
        campaign_id=body.campaign_id,
        list_id=body.list_id,
        job_source=body.job_source,
    )
    return Reply(lint(call.brand, draft, call.services.urls).as_json())


OPERATIONS = (
    Operation(
        name="lintMessage",
        method="POST",
        path="/messages/lint",
        summary="See what would happen to the links of a content",
        description="Nothing is stored and nothing is counted; an idempotency key changes nothing.",
        scope=Scope.MESSAGES_READ,
        handler=look,
        request=LintRequest,
        response=LintAnswer,
    ),
)
