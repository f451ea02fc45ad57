"""`POST /v1/links`: one short link, for somebody or for nobody in particular, with what it does to an SMS."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.errors import InvalidRequest
from app.messages.draft import Addressee, Draft
from app.messages.planning import plan_link
from app.models.api_key import Scope
from app.models.block import Channel
from app.models.message import Recipient
from app.web.api.fields import Answer, Reference, Schema
from app.web.api.message_schemas import (
    ContentWarning,
    LinkValues,
    NewRecipient,
    NewTracking,
    Segments,
    SmallMetadata,
    UtmChoice,
    recipient_faults,
)
from app.web.api.messages import commit_and_render, utm_of
from app.web.api.operation import Call, Operation, Reply

MAX_DESTINATION_CHARS = 8192


Destination = Annotated[
    str,
    # No controls: a reader of the URL may drop CR, LF and tabs, and then it leads elsewhere.
    StringConstraints(min_length=1, max_length=MAX_DESTINATION_CHARS, pattern=r"^[^\x00-\x1F\x7F]*$"),
]


class NewLink(Schema):
    destination: Destination = Field(description="Where it leads. May have `{{ name }}`, filled from `values`.")
    channel: Literal["email", "sms"] = "sms"
    text: str | None = Field(
        default=None,
        min_length=1,
        max_length=5000,
        description=(
            "The SMS that it goes into; `{{ link }}` is its place, `{{unsubscribe_url}}` may stand there too. Comes "
            "back filled, with its segments."
        ),
    )
    recipient: NewRecipient | None = Field(
        default=None,
        description=(
            "Without one the link belongs to nobody: it takes neither metadata nor values, and nobody can unsubscribe "
            "by it."
        ),
    )
    campaign_id: Reference | None = None
    list_id: Reference | None = None
    job_source: Reference | None = None
    metadata: SmallMetadata = Field(default_factory=dict)
    values: LinkValues = Field(default_factory=dict)
    tracking: NewTracking = NewTracking()
    utm: UtmChoice | None = None


class LinkAnswer(Answer):
    id: str = Field(description="Its message's id: events of the link carry it.")
    link_id: str
    url: str = Field(description="The short link.")
    destination: str = Field(description="As figures name it: without what is the recipient's own.")
    unsubscribe_url: str | None = Field(default=None, description="Absent without a recipient.")
    text: str | None = None
    segments: Segments | None = Field(default=None, description="SMS only.")
    warnings: list[ContentWarning]


def create(call: Call) -> Reply:
    body = call.body_as(NewLink)
    given = body.recipient
    if given is None and (body.metadata or body.values):
        pointers = [name for name in ("metadata", "values") if getattr(body, name)]
        errors = [{"pointer": f"/{name}", "detail": "needs a recipient, whose it is"} for name in pointers]
        raise InvalidRequest("A link of nobody has nothing personal.", errors=errors, status=422)
    if given is not None and (faults := recipient_faults(Channel(body.channel), [given], body.metadata, body.values)):
        errors = [{**fault, "pointer": fault["pointer"].replace("/recipients/0", "/recipient")} for fault in faults]
        raise InvalidRequest("The recipient is not valid.", errors=errors, status=422)
    person = Recipient("") if given is None else Recipient(given.address, given.id, given.name)
    metadata = body.metadata if given is None else {**body.metadata, **given.metadata}
    values = body.values if given is None else {**body.values, **given.values}
    draft = Draft(
        channel=Channel(body.channel),
        text=body.text,
        addressees=[Addressee(person, metadata, values)],
        campaign_id=body.campaign_id,
        list_id=body.list_id,
        job_source=body.job_source,
        track_opens=body.tracking.opens,
        track_clicks=body.tracking.clicks,
        utm=utm_of(body.utm),
    )
    reply = commit_and_render(call, plan_link(call.brand, draft, body.destination), with_content=True)
    made = dict(reply.body or {})
    message = made["messages"][0]
    link = message["links"][0]
    answer = {
        "id": message["id"],
        "link_id": link["id"],
        "url": link["tracked_url"],
        "destination": link["url"],
        **({} if given is None else {"unsubscribe_url": message["unsubscribe_url"]}),
        "warnings": made["warnings"],
        **({"text": message["text"]} if body.text is not None else {}),
        **({"segments": made["segments"]} if "segments" in made else {}),
    }
    return Reply(answer, reply.headers)


OPERATIONS = (
    Operation(
        name="makeLink",
        method="POST",
        path="/links",
        summary="Make a short link",
        description=(
            "One tracked link on the brand's short host. With `text` it also says how many segments the SMS has with "
            "your link and with ours, before anything is sent."
        ),
        scope=Scope.MESSAGES_WRITE,
        handler=create,
        request=NewLink,
        response=LinkAnswer,
        status=HTTPStatus.CREATED,
    ),
)
