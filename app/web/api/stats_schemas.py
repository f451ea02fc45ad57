"""What `GET /v1/stats` takes and gives. The figures themselves are in `app.analytics.definitions`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from app.web.api.fields import Answer, Reference, Schema

MAX_DAYS = 366
MAX_CAMPAIGNS = 200
MAX_LINKS = 500


def _day(text: str) -> str:
    if not 1970 <= date.fromisoformat(text).year < 2200:
        raise ValueError("must be a date from 1970 to 2199")
    return text


Day = Annotated[
    str,
    StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$"),
    AfterValidator(_day),
    Field(json_schema_extra={"format": "date"}),
]
By = Literal["none", "day", "campaign", "link", "url"]
ViewName = Literal["counted", "all"]


class StatsQuery(Schema):
    from_: Day | None = Field(
        default=None,
        alias="from",
        description=(
            "First UTC date of the hits. By default 30 days up to `to`; with `campaign_id` or `message_id` as many as "
            f"are allowed, {MAX_DAYS}."
        ),
    )
    to: Day | None = Field(default=None, description="Last UTC date of the hits, inclusive; today by default.")
    campaign_id: Reference | None = None
    message_id: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Only with `by=link` and `by=url`."
    )
    by: By = Field(
        default="none",
        description=(
            "What a row stands for. `link` and `url` need `campaign_id` or `message_id`: `link` keeps places in the "
            "content apart, `url` joins those that lead to the same URL."
        ),
    )
    view: ViewName | None = Field(
        default=None,
        description=(
            "`all` shows also what machines did and what is not counted; no figure means anything else in it. By "
            "default `counted`, or `all` for a brand whose settings turn the filter off."
        ),
    )
    cursor: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="`next_cursor` of the page before; only with `by=campaign`."
    )
    limit: int = Field(
        default=100, ge=1, le=MAX_CAMPAIGNS, strict=False, description="Campaigns on a page; only with `by=campaign`."
    )


Figures = dict[str, int | float | None]


class StatsRow(Answer):
    """Which fields say what the row stands for depends on `by`."""

    day: str | None = Field(default=None, json_schema_extra={"format": "date"})
    campaign_id: str | None = Field(default=None, description="Absent in the row of messages without a campaign.")
    link_ids: list[str] | None = Field(default=None, description="As in events; one with `by=link`.")
    position: int | None = Field(default=None, description="Of the link in the content, from 1. Only with `by=link`.")
    url: str | None = Field(default=None, description="Absent when nobody can say any more where the link led.")
    label: str | None = Field(default=None, description="The link's text, cut.")
    figures: Figures = Field(description="By name; `definitions` says what they mean.")


class StatsAnswer(Answer):
    from_: str = Field(alias="from", json_schema_extra={"format": "date"})
    to: str = Field(json_schema_extra={"format": "date"})
    time_zone: Literal["UTC"]
    campaign_id: str | None = None
    message_id: str | None = None
    by: By
    row: str = Field(description="What a row stands for, in words.")
    view: ViewName
    as_of: str = Field(description="When it was counted.", json_schema_extra={"format": "date-time"})
    rules_version: str = Field(description="Of the rules by which hits are judged now.")
    rows: list[StatsRow]
    next_cursor: str | None = Field(description="Where to go on; null on the last page.")
    definitions: dict[str, str] = Field(description="What each figure says, and what it does not.")


class FigureAnswer(Answer):
    name: str
    unit: Literal["events", "messages", "ratio"]
    view: ViewName = Field(description="`all`: shown only in that view.")
    definition: str


class StatsDefinitions(Answer):
    figures: list[FigureAnswer] = Field(description="In the order in which rows have them.")
    rows: dict[str, str] = Field(description="What a row stands for, by the value of `by`.")
