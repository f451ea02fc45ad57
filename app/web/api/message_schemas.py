"""What registering messages, links and linting take and give: content, recipients, values, and what comes back."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from app.brands.schema import check_utm_value
from app.messages.addresses import check_address
from app.models.block import Channel
from app.web.api.fields import (
    MAX_METADATA_BYTES,
    MAX_METADATA_KEY,
    Address,
    Answer,
    ChannelName,
    Metadata,
    MetadataValue,
    Name,
    Reference,
    Schema,
    ValueName,
    metadata_bytes,
)
from app.web.problems import BRANCH

MAX_RECIPIENTS = 1000
MAX_CONTENT_CHARS = 2 * 1024 * 1024
MAX_MIME_CHARS = 7 * 1024 * 1024
MAX_VALUES_BYTES = 4096


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


def _base64(text: str) -> str:
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("must be standard base64 with padding, without line breaks") from error
    return text


def _utm_text(text: str) -> str:
    return check_utm_value(text)


UtmText = Annotated[str, AfterValidator(_utm_text)]
LinkValues = Annotated[
    dict[ValueName, MetadataValue],
    Field(max_length=50, json_schema_extra={"additionalProperties": False}),
]


class NewContent(Schema):
    """Email: html, text or both, or a whole MIME message. SMS: text only."""

    html: str | None = Field(default=None, min_length=1, max_length=MAX_CONTENT_CHARS)
    text: str | None = Field(default=None, min_length=1, max_length=MAX_CONTENT_CHARS)
    mime: Annotated[str, AfterValidator(_base64)] | None = Field(
        default=None,
        min_length=4,
        max_length=MAX_MIME_CHARS,
        description="A whole message as it would be sent (RFC 5322), in base64; instead of html and text.",
        json_schema_extra={"contentEncoding": "base64"},
    )


def check_content(channel: str, content: NewContent) -> None:
    """Raise unless the channel can carry this.

    Raises:
        ValueError: one sentence.
    """
    if content.mime is not None and (content.html is not None or content.text is not None):
        raise ValueError("a whole MIME message comes without html and text")
    if channel == "sms":
        if content.html is not None or content.mime is not None or content.text is None:
            raise ValueError("an SMS has text and no html")
    elif content.html is None and content.text is None and content.mime is None:
        raise ValueError("an email needs html, text or both, or mime")


def mime_of(content: NewContent) -> bytes | None:
    return None if content.mime is None else base64.b64decode(content.mime)


class NewRecipient(Schema):
    address: Address = Field(description="An email address, or a phone number in E.164 form.")
    id: Reference | None = Field(default=None, description="Your own id of this contact.")
    name: Name | None = None
    metadata: SmallMetadata = Field(default_factory=dict, description="Wins over the shared metadata, key by key.")
    values: LinkValues = Field(default_factory=dict, description="Wins over the shared values, name by name.")


class NewTracking(Schema):
    """What is tracked of these messages: at most what the brand allows; without it, all of that."""

    opens: bool | None = None
    clicks: bool | None = None


class NewUtm(Schema):
    """Campaign parameters for every tracked link, instead of the brand's own."""

    source: UtmText | None = None
    medium: UtmText | None = None
    campaign: UtmText | None = None
    term: UtmText | None = None
    content: UtmText | None = None
    existing: Literal["keep", "replace"] = "keep"


def _utm_branch(given: object) -> str:
    return f"{BRANCH}none" if isinstance(given, str) else f"{BRANCH}fields"


UtmChoice = Annotated[
    Annotated[NewUtm, Tag(f"{BRANCH}fields")] | Annotated[Literal["none"], Tag(f"{BRANCH}none")],
    # Decided by hand, or a fault in a field would be told twice, the second time as "should be 'none'".
    Discriminator(_utm_branch),
]


class NewMessages(Schema):
    """One message, or a batch of recipients who get the same content."""

    channel: ChannelName
    content: NewContent
    recipients: list[NewRecipient] = Field(min_length=1, max_length=MAX_RECIPIENTS)
    campaign_id: Reference | None = None
    list_id: Reference | None = Field(default=None, description="What an unsubscribe leaves.")
    job_source: Reference | None = Field(default=None, description="Where the traffic came from: board, partner, feed.")
    metadata: SmallMetadata = Field(default_factory=dict)
    values: LinkValues = Field(
        default_factory=dict,
        description=(
            "What `{{ name }}` in the URL of a link stands for. With it the link is one link in all figures, and leads "
            "each recipient to their own page. Kept encrypted; gone when the recipient is erased."
        ),
    )
    tracking: NewTracking = NewTracking()
    utm: UtmChoice | None = Field(default=None, description="Without it as the brand is set up; `none` adds nothing.")
    pixel: Literal["header", "footer", "both", "none"] | None = Field(
        default=None, description="Where the open pixel goes; without it as the brand is set up."
    )
    return_: Literal["content", "links"] = Field(
        default="content", alias="return", description="`links` leaves the rewritten content out of the answer."
    )

    @model_validator(mode="after")
    def _fits_channel(self) -> NewMessages:
        check_content(self.channel, self.content)
        if self.channel == "sms" and self.pixel not in (None, "none"):
            raise ValueError("an SMS has no pixel")
        return self

    def faults(self) -> list[dict[str, str]]:
        """What is wrong with each recipient for this channel; pointers as in a problem document."""
        return recipient_faults(Channel(self.channel), self.recipients, self.metadata, self.values)


def recipient_faults(
    channel: Channel, recipients: Sequence[NewRecipient], metadata: dict[str, str], values: dict[str, str]
) -> list[dict[str, str]]:
    """What is wrong with recipients who share metadata and values."""
    found: list[dict[str, str]] = []
    for index, recipient in enumerate(recipients):
        try:
            check_address(channel, recipient.address)
        except ValueError as error:
            found.append({"pointer": f"/recipients/{index}/address", "detail": str(error)})
        if metadata_bytes(metadata, recipient.metadata) > MAX_METADATA_BYTES:
            detail = f"with the shared metadata larger than {MAX_METADATA_BYTES} bytes"
            found.append({"pointer": f"/recipients/{index}/metadata", "detail": detail})
        if metadata_bytes(values, recipient.values) > MAX_VALUES_BYTES:
            detail = f"with the shared values larger than {MAX_VALUES_BYTES} bytes"
            found.append({"pointer": f"/recipients/{index}/values", "detail": detail})
    return found


class TrackedLink(Answer):
    id: str = Field(description="`lnk_` and the link's place in the content, from 1; the same for every recipient.")
    url: str
    tracked_url: str


class ContentWarning(Answer):
    """Something about the content that was not done, or that its author should know."""

    part: Literal["html", "text", "mime", "destination"]
    line: int | None = Field(default=None, description="From 1.")
    column: int | None = None
    code: str
    detail: str


class SmsFigures(Answer):
    encoding: Literal["GSM-7", "UCS-2"]
    units: int = Field(description="Septets or UTF-16 code units.")
    segments: int
    units_left: int = Field(description="How many more fit without another segment.")


class Segments(Answer):
    """What an SMS costs, with your links and with ours."""

    before: SmsFigures
    after: SmsFigures
    warnings: list[Literal["link_adds_segment", "not_gsm_characters", "too_long"]]
    not_gsm: list[str] = Field(description="The characters that take the text out of GSM-7, at most ten.")


class RegisteredMessage(Answer):
    id: str
    recipient_id: str | None = None
    html: str | None = None
    text: str | None = None
    mime: str | None = Field(default=None, json_schema_extra={"contentEncoding": "base64"})
    pixel_url: str | None = Field(default=None, description="Absent when opens are not tracked.")
    links: list[TrackedLink]
    unsubscribe_url: str
    headers: dict[str, str] | None = Field(
        default=None,
        description=("Email only: add these to the message. Absent when the `mime` of this answer has them already."),
    )


class RegisteredMessages(Answer):
    messages: list[RegisteredMessage] = Field(description="In the order of `recipients`.")
    warnings: list[ContentWarning] = Field(description="At most 50.")
    segments: Segments | None = Field(default=None, description="SMS only. At most: reckoned with the longest codes.")
