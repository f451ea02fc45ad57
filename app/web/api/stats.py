"""`GET /v1/stats`: figures with their definitions. Formulas are in `app.analytics`; rows of links in `link_stats`."""

from __future__ import annotations

import base64
import binascii
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from app.analytics.definitions import FIGURES, OF_LINKS, ROWS, shown, values
from app.analytics.figure import Counts, Figure, View
from app.errors import InvalidRequest
from app.ingest.classify import RULES_VERSION
from app.lib import clock
from app.lib.deadline import Deadline
from app.models.api_key import Scope
from app.models.count import CountKey
from app.storage.count_query import CountQuery
from app.web.api import link_stats
from app.web.api.operation import Call, Operation, Reply
from app.web.api.stats_schemas import MAX_DAYS, StatsAnswer, StatsDefinitions, StatsQuery

_SECONDS = 2.5
"""For reading all counts of a call. A web process does nothing else meanwhile, and hits wait for it too."""
_DAYS = 30
_OF_ONE_CAMPAIGN = ("campaign_id", "message_id")


@dataclass(frozen=True, slots=True)
class _Page:
    rows: Sequence[dict[str, Any]]
    next_cursor: str | None = None


def read(call: Call) -> Reply:
    query = call.query_as(StatsQuery)
    as_of = clock.now()
    first_day, last_day = _days(query, as_of.date())
    _refuse_what_does_not_fit(query)
    view = View(query.view) if query.view else (View.COUNTED if call.brand.bots.filter else View.ALL)
    of_links = query.by in ("link", "url")
    figures = shown(OF_LINKS if of_links else FIGURES, view)
    if of_links:
        page = _Page(link_stats.rows(call, query, first_day, last_day, figures))
    elif query.by == "campaign":
        page = _by_campaign(call, query, first_day, last_day, figures)
    else:
        page = _Page(list(_by_day_or_none(call, query, first_day, last_day, figures)))
    about = {name: value for name in _OF_ONE_CAMPAIGN if (value := getattr(query, name)) is not None}
    body = {
        "from": first_day.isoformat(),
        "to": last_day.isoformat(),
        "time_zone": "UTC",
        **about,
        "by": query.by,
        "row": ROWS[query.by],
        "view": view.value,
        "as_of": clock.rfc3339(as_of),
        "rules_version": RULES_VERSION,
        "rows": page.rows,
        "next_cursor": page.next_cursor,
        "definitions": {figure.name: figure.words for figure in figures},
    }
    return Reply(body)


def define(call: Call) -> Reply:
    figures = [
        {"name": figure.name, "unit": figure.unit.value, "view": figure.view.value, "definition": figure.words}
        for figure in FIGURES
    ]
    return Reply({"figures": figures, "rows": dict(ROWS)})


def _by_day_or_none(
    call: Call, query: StatsQuery, first_day: date, last_day: date, figures: tuple[Figure, ...]
) -> Iterator[dict[str, Any]]:
    by_day = query.by == "day"
    campaigns = None if query.campaign_id is None else [query.campaign_id]
    wanted = CountQuery(first_day, last_day, campaigns, by_day=by_day, by_campaign=False)
    counts = call.services.batches.figures(call.brand.id, wanted, seconds=_SECONDS)
    if not by_day:
        yield {"figures": values(figures, counts)}
        return
    parts = _parts(counts, "day")
    for number in range((last_day - first_day).days + 1):
        day = (first_day + timedelta(days=number)).isoformat()
        yield {"day": day, "figures": values(figures, parts[day])}


def _by_campaign(call: Call, query: StatsQuery, first_day: date, last_day: date, figures: tuple[Figure, ...]) -> _Page:
    batches, brand_id, deadline = call.services.batches, call.brand.id, Deadline(_SECONDS)
    only = None if query.campaign_id is None else [query.campaign_id]
    after = None if query.cursor is None else read_cursor(query.cursor)
    asked = CountQuery(first_day, last_day, only, after_campaign=after)
    found = batches.campaigns(brand_id, asked, most=query.limit + 1, seconds=deadline.left())
    names = found[: query.limit]
    wanted = CountQuery(first_day, last_day, names, by_day=False)
    parts = _parts(batches.figures(brand_id, wanted, seconds=deadline.left()), "campaign_id")
    rows = [{**({"campaign_id": name} if name else {}), "figures": values(figures, parts[name])} for name in names]
    return _Page(rows, write_cursor(names[-1]) if len(found) > len(names) else None)


def _parts(counts: Counts, field: str) -> defaultdict[str, Counter[CountKey]]:
    parts: defaultdict[str, Counter[CountKey]] = defaultdict(Counter)
    for key, number in counts.items():
        parts[getattr(key, field)][key] += number
    return parts


def _days(query: StatsQuery, today: date) -> tuple[date, date]:
    last_day = today if query.to is None else date.fromisoformat(query.to)
    of_one_campaign = query.campaign_id is not None or query.message_id is not None
    if query.from_ is None:
        back = min((MAX_DAYS if of_one_campaign else _DAYS) - 1, last_day.toordinal() - 1)
        return last_day - timedelta(days=back), last_day
    first_day = date.fromisoformat(query.from_)
    if first_day > last_day:
        raise _refused("/from", "must not be after `to`")
    if (last_day - first_day).days >= MAX_DAYS:
        raise _refused("/from", f"must be less than {MAX_DAYS} days before `to`")
    return first_day, last_day


def _refuse_what_does_not_fit(query: StatsQuery) -> None:
    of_links = query.by in ("link", "url")
    if of_links and (query.campaign_id is None) == (query.message_id is None):
        raise _refused("/by", f"{query.by} needs either campaign_id or message_id")
    if query.message_id is not None and not of_links:
        raise _refused("/message_id", "goes with by=link and by=url only")
    if query.cursor is not None and query.by != "campaign":
        raise _refused("/cursor", "goes with by=campaign only")


def _refused(pointer: str, detail: str) -> InvalidRequest:
    errors = [{"pointer": pointer, "detail": detail}]
    return InvalidRequest("1 field is not valid.", code="invalid_parameter", errors=errors)


def write_cursor(campaign_id: str) -> str:
    return base64.urlsafe_b64encode(campaign_id.encode()).decode("ascii").rstrip("=") or "-"


def read_cursor(text: str) -> str:
    """The last campaign of the page before.

    Raises:
        InvalidRequest: the text is not what `write_cursor` makes.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raw = ""
    if write_cursor(raw) != text:
        raise InvalidRequest("The cursor is not one of this list.", code="invalid_cursor")
    return raw


OPERATIONS = (
    Operation(
        name="getStats",
        method="GET",
        path="/stats",
        summary="Figures of the brand, by day, campaign or link",
        description=(
            "Exact at the moment `as_of`, corrections included. Days are UTC days of the hits. Every answer says what "
            "its figures mean. Not by `job_source`: counts are not kept for it."
        ),
        scope=Scope.EVENTS_READ,
        handler=read,
        query=StatsQuery,
        response=StatsAnswer,
        may_miss=True,
    ),
    Operation(
        name="getStatsDefinitions",
        method="GET",
        path="/stats/definitions",
        summary="What every figure says, and what it does not",
        scope=Scope.EVENTS_READ,
        handler=define,
        response=StatsDefinitions,
    ),
)
