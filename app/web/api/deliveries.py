"""`/v1/deliveries`: how webhooks went. Sending them is `app.webhooks`, sending them again `replays`."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from app.errors import InvalidRequest, NotFound
from app.lib import clock
from app.models.api_key import Scope
from app.models.delivery import Attempt, DeliveryState
from app.storage.deliveries import DeliveryRecord
from app.web.api.operation import Call, Operation, Reply
from app.web.api.webhook_schemas import DeliveryAnswer, DeliveryPage, DeliveryQuery

_DELIVERY_ID = re.compile(r"evt_[0-9A-Z]{26}:[A-Za-z0-9_-]{1,64}(?::bat_[0-9A-Z]{26})?", re.ASCII)


def index(call: Call) -> Reply:
    query = call.query_as(DeliveryQuery)
    records = call.services.deliveries.list_for_brand(
        call.brand.id,
        limit=query.limit + 1,
        before=None if query.cursor is None else _read_cursor(query.cursor),
        endpoint_id=query.endpoint_id,
        state=None if query.state is None else DeliveryState(query.state),
    )
    shown = records[: query.limit]
    more = len(records) > len(shown)
    body = {
        "deliveries": [_delivery_json(record) for record in shown],
        "next_cursor": _write_cursor(shown[-1].delivery.id) if more else None,
    }
    return Reply(body)


def show(call: Call) -> Reply:
    delivery_id = call.arguments["delivery_id"]
    record = None
    if _DELIVERY_ID.fullmatch(delivery_id):  # what is spelt otherwise never gets into a query, nor into its log
        record = call.services.deliveries.find(call.brand.id, delivery_id)
    if record is None:
        raise NotFound("There is no such delivery, or it is older than the brand keeps them.")
    shown = _delivery_json(record)
    if record.delivery.batch_id:
        shown["event_ids"] = [item.event_id for item in record.delivery.items]
    return Reply(shown)


def _delivery_json(record: DeliveryRecord) -> dict[str, Any]:
    delivery = record.delivery
    shown: dict[str, Any] = {
        "id": delivery.id,
        "endpoint_id": delivery.endpoint_id,
        "webhook_id": delivery.webhook_id,
        "event_id": delivery.id.partition(":")[0],
        "event_type": delivery.event_type,
        "events": record.events,
        "state": delivery.state.value,
        "created_at": clock.rfc3339(delivery.created_at),
        "attempts": delivery.attempts,
        "log": [_attempt_json(attempt) for attempt in record.log],
    }
    if record.closed:
        shown["closed"] = record.closed
    if delivery.state is DeliveryState.PENDING:
        shown["next_attempt_at"] = clock.rfc3339(delivery.next_attempt_at)
    return shown


def _attempt_json(attempt: Attempt) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "number": attempt.number,
        "started_at": clock.rfc3339(attempt.started_at),
        "seconds": round(attempt.seconds, 3),
        "outcome": attempt.outcome,
    }
    if attempt.status is not None:
        shown["status"] = attempt.status
    if attempt.url:
        shown["url"] = attempt.url
    if attempt.response:
        shown["response"] = attempt.response
    return shown


def _write_cursor(delivery_id: str) -> str:
    return base64.urlsafe_b64encode(delivery_id.encode()).decode("ascii").rstrip("=")


def _read_cursor(text: str) -> str:
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        found = ""
    if not _DELIVERY_ID.fullmatch(found) or _write_cursor(found) != text:
        raise InvalidRequest("The cursor is not one of this list.", code="invalid_cursor")
    return found


OPERATIONS = (
    Operation(
        name="listDeliveries",
        method="GET",
        path="/deliveries",
        summary="The delivery log, newest event first",
        scope=Scope.ENDPOINTS_READ,
        handler=index,
        query=DeliveryQuery,
        response=DeliveryPage,
    ),
    Operation(
        name="getDelivery",
        method="GET",
        path="/deliveries/{delivery_id}",
        summary="One delivery with its whole log",
        description="Each attempt with the URL it went to and the beginning of the answer.",
        scope=Scope.ENDPOINTS_READ,
        handler=show,
        response=DeliveryAnswer,
    ),
)
