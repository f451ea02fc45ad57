"""`GET /v1/events/search`: a brand's events by words, values and time. `app.search` decides which store is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from app.brands.brand import Brand
from app.errors import InvalidRequest
from app.event_json import events_json
from app.lib import clock
from app.models.api_key import Scope
from app.models.event import PUBLIC_KINDS, EventKind, Verdict
from app.models.search import Facet, Interval, SearchQuery, Summary, TooWide, Word, read_words
from app.search.kept import kept_since
from app.search.search import Wanted
from app.tracking.codes import Codes
from app.web.api.event_search_schemas import (
    DEFAULT_DAYS,
    MAX_DAYS,
    MAX_DAYS_BY_HOUR,
    EventSearchAnswer,
    EventSearchQuery,
)
from app.web.api.events import read_cursor, write_place
from app.web.api.fields import parse_moment
from app.web.api.link_search import links_of
from app.web.api.operation import Call, Operation, Reply
from app.web.problems import CODES

_KINDS = {kind.public_type: kind for kind in PUBLIC_KINDS}
_NO_MESSAGE = -1
"""Nobody's number: whoever asks for a message that there cannot be finds nothing."""


def search(call: Call) -> Reply:
    asked = call.query_as(EventSearchQuery)
    now = clock.now()
    since, until = _times(asked, now)
    facets = () if asked.facets is None else tuple(map(Facet, asked.facets.split(",")))
    wanted = Wanted(
        limit=asked.limit,
        before=None if asked.cursor is None else read_cursor(asked.cursor),
        facets=facets,
        interval=None if asked.histogram is None else Interval(asked.histogram),
    )
    query = _query(asked, call.brand, call.services.codes, since=since, until=until, now=now)
    try:
        if asked.link is not None:
            query = replace(query, links=links_of(call, asked.link, asked.campaign_id))
        found = call.services.search.run(query, wanted)
    except TooWide:
        raise InvalidRequest(CODES["search_too_wide"], code="search_too_wide") from None
    body = {
        "events": events_json(found.events, call.services),
        "next_cursor": None if found.following is None else write_place(found.following),
        "from": clock.rfc3339(since),
        "to": clock.rfc3339(clock.from_ms(found.until_ms)),
        **({} if found.summary is None else _summary(found.summary, wanted)),
    }
    return Reply(body)


def _query(
    asked: EventSearchQuery, brand: Brand, codes: Codes, *, since: datetime, until: datetime, now: datetime
) -> SearchQuery:
    kinds = PUBLIC_KINDS if asked.type is None else (_KINDS[asked.type],)
    words, messages = _words(asked.q, codes)
    if asked.message_id is not None:
        messages.append(_number(asked.message_id, codes))
    return SearchQuery(
        brand_id=brand.id,
        since_ms=_kept(brand, kinds, _ms(since), now),
        until_ms=_ms(until),
        words=words,
        verdict=None if asked.verdict is None else Verdict(asked.verdict),
        counted=None if asked.counted is None else asked.counted == "true",
        reason=asked.reason,
        campaign_id=asked.campaign_id,
        list_id=asked.list_id,
        job_source=asked.job_source,
        messages=tuple(messages),
    )


def _kept(brand: Brand, kinds: tuple[EventKind, ...], since_ms: int, now: datetime) -> dict[EventKind, int]:
    """From when on each kind is looked for: what is past keeping is not found, whether it is deleted yet or not."""
    kept = kept_since(brand, now)
    return {kind: max(since_ms, kept.get(kind, since_ms)) for kind in kinds}


def _words(text: str | None, codes: Codes) -> tuple[tuple[Word, ...], list[int]]:
    """The words of a text, and the numbers of messages whose ids are among them."""
    parts = [] if text is None else text.split()
    numbers = {part: codes.message_number(part) for part in parts}
    rest = " ".join(part for part in parts if numbers[part] is None)
    return read_words(rest) if rest else (), [number for number in numbers.values() if number is not None]


def _number(message_id: str, codes: Codes) -> int:
    number = codes.message_number(message_id)
    return _NO_MESSAGE if number is None else number


def _times(asked: EventSearchQuery, now: datetime) -> tuple[datetime, datetime]:
    until = now if asked.to is None else parse_moment(asked.to)
    since = until - timedelta(days=DEFAULT_DAYS) if asked.from_ is None else parse_moment(asked.from_)
    most = MAX_DAYS_BY_HOUR if asked.histogram == "hour" else MAX_DAYS
    if since >= until:
        raise _refused("must be before `to`")
    if until - since > timedelta(days=most):
        raise _refused(f"must be at most {most} days before `to`")
    return since, until


def _refused(detail: str) -> InvalidRequest:
    errors = [{"pointer": "/from", "detail": detail}]
    return InvalidRequest("1 field is not valid.", code="invalid_parameter", errors=errors)


def _summary(summary: Summary, wanted: Wanted) -> dict[str, Any]:
    body: dict[str, Any] = {"total": summary.total}
    if wanted.facets:
        body["facets"] = {
            facet.value: {
                "values": [{"value": value, "count": number} for value, number in counts.values],
                "others": counts.others,
            }
            for facet, counts in summary.facets.items()
        }
    if wanted.interval is not None:
        body["histogram"] = [
            {"start": clock.rfc3339(clock.from_ms(start)), "count": number} for start, number in summary.histogram
        ]
    return body


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


OPERATIONS = (
    Operation(
        name="searchEvents",
        method="GET",
        path="/events/search",
        summary="Events by words, values and time",
        description=(
            "The latest recorded first. For finding, counting and charts; who wants every event once reads "
            "`/v1/events` or webhooks. `from`, `to` and the histogram are about the time of recording. A correction is "
            "an event of its own, and the event it corrects is found by what is said of it now."
        ),
        scope=Scope.EVENTS_READ,
        handler=search,
        query=EventSearchQuery,
        response=EventSearchAnswer,
    ),
)
