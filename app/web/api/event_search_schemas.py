"""What `GET /v1/events/search` takes and gives."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from app.models.search import MOST_VALUES, MOST_WORDS, SHORTEST_BEGINNING, Facet, read_words
from app.web.api.fields import Answer, Moment, Reference, Schema, plain_text
from app.web.api.schemas import EventAnswer, EventType, VerdictName

MAX_DAYS = 92
MAX_DAYS_BY_HOUR = 31
DEFAULT_DAYS = 7
MAX_FOUND = 100


def _text(text: str) -> str:
    read_words(text)
    return text


def _facets(text: str) -> str:
    names = text.split(",")
    if len(set(names)) != len(names) or not set(names) <= set(Facet):
        raise ValueError(f"must be some of {', '.join(Facet)}, each once, with commas between")
    return text


SearchText = Annotated[str, plain_text(most=200), AfterValidator(_text)]
FacetNames = Annotated[str, StringConstraints(max_length=100), AfterValidator(_facets)]
ReasonCode = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")]


class EventSearchQuery(Schema):
    q: SearchText | None = Field(
        default=None,
        description=(
            f"Up to {MOST_WORDS} words, all of which must be in the event's user agent, campaign, reasons, list or "
            "job source, in any order and case. Words are letters and digits; anything else stands between words. "
            f"`*` at the end of a word of {SHORTEST_BEGINNING} or more: whatever begins so. A message's id among the "
            "words: events of that message."
        ),
    )
    type: EventType | None = None
    verdict: VerdictName | None = None
    counted: Literal["true", "false"] | None = None
    reason: ReasonCode | None = None
    campaign_id: Reference | None = None
    list_id: Reference | None = Field(default=None, description="As given when the messages were registered.")
    job_source: Reference | None = Field(default=None, description="As given when the messages were registered.")
    link: SearchText | None = Field(
        default=None,
        description="Clicks of the links of a campaign whose URL or label has these words; needs `campaign_id`.",
    )
    message_id: Annotated[str, Field(max_length=64)] | None = None
    from_: Moment | None = Field(
        default=None,
        alias="from",
        description=f"Recorded at or after; {DEFAULT_DAYS} days before `to` by default, {MAX_DAYS} at most.",
        json_schema_extra={"format": "date-time"},
    )
    to: Moment | None = Field(
        default=None, description="Recorded before; now by default.", json_schema_extra={"format": "date-time"}
    )
    facets: FacetNames | None = Field(default=None, description=f"Any of {', '.join(Facet)}, with commas between.")
    histogram: Literal["hour", "day"] | None = Field(
        default=None,
        description=f"Counts by the hours (of {MAX_DAYS_BY_HOUR} days at most) or days of UTC, by time of recording.",
    )
    cursor: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="`next_cursor` of the page before, with the same conditions."
    )
    limit: int = Field(default=50, ge=1, le=MAX_FOUND, strict=False)


class FacetValue(Answer):
    value: str
    count: int


class FacetAnswer(Answer):
    values: list[FacetValue] = Field(description=f"The most first, at most {MOST_VALUES}.")
    others: int = Field(description="Events under values that are not listed.")


class Bar(Answer):
    start: str = Field(description="Of the hour or day, in UTC.", json_schema_extra={"format": "date-time"})
    count: int


class EventSearchAnswer(Answer):
    events: list[EventAnswer] = Field(description="The latest recorded first.")
    next_cursor: str | None = Field(description="Where the next page begins; null on the last one.")
    from_: str = Field(alias="from", json_schema_extra={"format": "date-time"})
    to: str = Field(
        description="What was recorded from here on was not looked at: a little before now, or what was asked for.",
        json_schema_extra={"format": "date-time"},
    )
    total: int | None = Field(default=None, description="All events found; with `facets` or `histogram` only.")
    facets: dict[str, FacetAnswer] | None = None
    histogram: list[Bar] | None = Field(default=None, description="Without hours or days that have none.")
