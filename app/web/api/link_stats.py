"""`GET /v1/stats?by=link` and `by=url`: rows of single links. Counted by `app.storage.link_clicks`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import orjson

from app.analytics.definitions import values
from app.analytics.figure import Figure
from app.analytics.links import LinkRow, by_link, by_url, shared_tables
from app.errors import InvalidRequest
from app.ingest.personal import PURPOSE
from app.lib.deadline import Deadline
from app.models.block import Block
from app.storage.link_clicks import ClickQuery, Joined, LinkClicks, TooManyRows, clicks_per_link
from app.web.api.messages import message_of_brand
from app.web.api.operation import Call
from app.web.api.stats_schemas import MAX_LINKS, StatsQuery
from app.web.problems import CODES

_SECONDS = 2.5
"""For reading all clicks of a call. A web process does nothing else meanwhile, and hits wait for it too."""
_MOST_ROWS = 50_000
_MOST_BLOCKS = 10_000
_MOST_TABLES = 50
"""Link tables that have a URL twice, of one campaign."""


def rows(
    call: Call, query: StatsQuery, first_day: date, last_day: date, figures: tuple[Figure, ...]
) -> list[dict[str, Any]]:
    """Raises:
    InvalidRequest: there is more than one answer holds.
    NotFound: there is no such message.
    """
    message = None if query.message_id is None else message_of_brand(call, query.message_id).number
    wanted = ClickQuery(call.brand.id, _start_ms(first_day), _start_ms(last_day, 1), query.campaign_id, message)
    find = _by_url if query.by == "url" else _by_link
    try:
        found = find(call, wanted, Deadline(_SECONDS))
    except TooManyRows:
        raise InvalidRequest(CODES["too_many_rows"], code="too_many_rows") from None
    return [_row(row, query, figures) for row in found]


def _by_link(call: Call, wanted: ClickQuery, deadline: Deadline) -> list[LinkRow]:
    clicks = _clicks(call, wanted, deadline)
    return _bounded(by_link(clicks, _blocks(call, clicks), _token_urls(call, clicks)))


def _by_url(call: Call, wanted: ClickQuery, deadline: Deadline) -> list[LinkRow]:
    clicks = _clicks(call, wanted, deadline)
    blocks = _blocks(call, clicks)
    tables = shared_tables(blocks.values())
    if len(tables) > _MOST_TABLES:
        raise TooManyRows
    joined = _clicks(call, wanted, deadline, [Joined(*table) for table in tables]) if tables else []
    return _bounded(by_url(clicks, joined, blocks, _token_urls(call, clicks)))


def _clicks(call: Call, wanted: ClickQuery, deadline: Deadline, joined: Sequence[Joined] = ()) -> list[LinkClicks]:
    database = call.services.database
    return clicks_per_link(database, wanted, most=_MOST_ROWS, seconds=deadline.left(), joined=joined)


def _blocks(call: Call, clicks: Sequence[LinkClicks]) -> Mapping[int, Block]:
    starts = {clicked.block for clicked in clicks if clicked.block is not None}
    if len(starts) > _MOST_BLOCKS:
        raise TooManyRows
    return call.services.block_cache.starting_at(starts)


def _token_urls(call: Call, clicks: Sequence[LinkClicks]) -> dict[int, str]:
    """Where links of sealed tokens lead, as far as somebody's click still tells."""
    personal = [(clicked.slot, clicked.personal) for clicked in clicks if clicked.personal]
    if len(personal) > MAX_LINKS:
        raise TooManyRows
    opened = call.services.vault.open_many(PURPOSE, [(call.brand.id, sealed) for _, sealed in personal])
    fields = ((slot, orjson.loads(text)) for (slot, _), text in zip(personal, opened, strict=True) if text is not None)
    return {slot: found["url"] for slot, found in fields if found.get("url")}


def _bounded(found: list[LinkRow]) -> list[LinkRow]:
    if len(found) > MAX_LINKS:
        raise TooManyRows
    return found


def _row(row: LinkRow, query: StatsQuery, figures: tuple[Figure, ...]) -> dict[str, Any]:
    optional = {
        "position": row.position if query.by == "link" else None,
        "url": row.url,
        "label": row.label or None,
    }
    given = {name: value for name, value in optional.items() if value is not None}
    return {"link_ids": row.link_ids, **given, "figures": values(figures, row.counts)}


def _start_ms(day: date, days_later: int = 0) -> int:
    start = datetime.combine(day, time(), UTC) + timedelta(days=days_later)
    return int(start.timestamp()) * 1000
