"""`GET /v1/events`: a brand's events in the order they were recorded, so that who keeps the cursor misses none.

Ids are ordered by the time of the hit, and a hit may be recorded minutes later (an outage, a slow disk): a cursor
over ids would skip it. Time of recording only grows, but batches are stored side by side; what is younger than
`SETTLE_MS` is held back until the batches of that moment are surely in.
"""

from __future__ import annotations

import base64
import binascii

from app.errors import InvalidRequest
from app.event_json import events_json
from app.lib import clock
from app.models.api_key import Scope
from app.models.event import PUBLIC_KINDS, Event
from app.web.api.operation import Call, Operation, Reply
from app.web.api.schemas import EventPage, EventQuery

SETTLE_MS = 10_000
"""How long after its stamp an event is stored, or its batch is run again and stamps it anew: the insert has 7 seconds,
Redis two before it."""
_CURSOR_BYTES = 6 + 16

_KINDS = {kind.public_type: kind for kind in PUBLIC_KINDS}


def page(call: Call) -> Reply:
    query = call.query_as(EventQuery)
    events = call.services.events.page(
        call.brand.id,
        after=None if query.cursor is None else read_cursor(query.cursor),
        before_ms=clock.now_ms() - SETTLE_MS,
        limit=query.limit + 1,
        kind=None if query.type is None else _KINDS[query.type],
        campaign_id=query.campaign_id,
    )
    shown = events[: query.limit]
    # An empty page gives the cursor back: a reader that polls goes on from there.
    cursor = write_cursor(shown[-1]) if shown else query.cursor
    body = {
        "events": events_json(shown, call.services),
        "next_cursor": cursor,
        "has_more": len(events) > len(shown),
    }
    return Reply(body)


def write_cursor(event: Event) -> str:
    return write_place((event.recorded_ms, event.id))


def write_place(place: tuple[int, bytes]) -> str:
    """The cursor of (recorded milliseconds, id)."""
    raw = place[0].to_bytes(6, "big") + place[1]
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def read_cursor(text: str) -> tuple[int, bytes]:
    """(recorded milliseconds, id) of the last event seen.

    Raises:
        InvalidRequest: the text is not what `write_cursor` makes.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _CURSOR_BYTES or base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=") != text:
        raise InvalidRequest("The cursor is not one of this list.", code="invalid_cursor")
    return int.from_bytes(raw[:6], "big"), raw[6:]


OPERATIONS = (
    Operation(
        name="listEvents",
        method="GET",
        path="/events",
        summary="Events in the order they were recorded",
        description=(
            "Oldest first. Keep `next_cursor` and call again, now or later: no event is skipped, also when it is "
            f"recorded long after it happened. Events appear {SETTLE_MS // 1000} seconds after they were recorded."
        ),
        scope=Scope.EVENTS_READ,
        handler=page,
        query=EventQuery,
        response=EventPage,
    ),
)
