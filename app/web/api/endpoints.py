"""`/v1/endpoints` and `/v1/deliveries`: where a brand's webhooks go and how it went. Sending them is `app.webhooks`."""

from __future__ import annotations

import base64
import binascii
import re
from http import HTTPStatus
from typing import Any

from app.brands.secrets import new_webhook_secret, parse_webhook_secret
from app.errors import Conflict, InvalidRequest, NotFound
from app.lib import clock
from app.lib.http_url import check_endpoint_url
from app.models.api_key import Scope
from app.models.delivery import DeliveryState, Endpoint, PayloadMode, Secret
from app.models.idempotency import Decision
from app.storage.deliveries import DeliveryRecord
from app.storage.endpoints import new_endpoint_id
from app.web.api import idempotency
from app.web.api.operation import Call, Operation, Reply
from app.web.api.schemas import CreatedEndpoint, DeliveryPage, DeliveryQuery, EndpointList, NewEndpoint

_NO_ENDPOINT = "There is no such endpoint that was made through the API."
_ENDPOINT_ID = re.compile(r"ep_[0-9A-Z]{26}", re.ASCII)
_DELIVERY_ID = re.compile(r"evt_[0-9A-Z]{26}:[A-Za-z0-9_-]{1,64}", re.ASCII)


def create(call: Call) -> Reply:
    """A repeat with the same key gives the same endpoint and its secret again, as long as the key is remembered."""
    body = call.body_as(NewEndpoint)
    url = _checked_url(call, body.url)
    commitment = idempotency.commit(call, lambda: Decision(resource=new_endpoint_id()))
    endpoint = Endpoint(
        id=commitment.decision.resource or "",
        brand_id=call.brand.id,
        url=url,
        secrets=(Secret(parse_webhook_secret(new_webhook_secret())),),
        events=frozenset(body.events),
        mode=PayloadMode(body.mode),
    )
    # Inserting an id that is there changes nothing, so what is stored, and not what we made up, is the answer.
    call.services.endpoints.insert(endpoint, created_at=commitment.created_at)
    stored = call.services.endpoints.get(call.brand.id, endpoint.id)
    if stored is None:
        raise Conflict("The endpoint was deleted while it was made.", code="not_found")
    secret = "whsec_" + base64.b64encode(stored.endpoint.secrets[0].key).decode("ascii")
    shown = {**_endpoint_json(stored.endpoint, "api"), "secret": secret}
    return Reply(shown, commitment.headers)


def index(call: Call) -> Reply:
    own = [_endpoint_json(stored.endpoint, "api") for stored in call.services.endpoints.list_for_brand(call.brand.id)]
    return Reply({"endpoints": [_endpoint_json(endpoint, "file") for endpoint in call.brand.endpoints] + own})


def delete(call: Call) -> Reply:
    endpoint_id = call.arguments["endpoint_id"]
    endpoints = call.services.endpoints
    if not _ENDPOINT_ID.fullmatch(endpoint_id):  # never into a query, which a slow store would log
        raise NotFound(_NO_ENDPOINT)
    # A repeat finds nothing to delete, and that is what it asked for.
    if idempotency.earlier(call) is None and endpoints.get(call.brand.id, endpoint_id) is None:
        raise NotFound(_NO_ENDPOINT)
    commitment = idempotency.commit(call, lambda: Decision(resource=endpoint_id))
    endpoints.delete(call.brand.id, endpoint_id)
    return Reply(None, commitment.headers)


def deliveries(call: Call) -> Reply:
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


def _checked_url(call: Call, url: str) -> str:
    settings = call.services.settings
    try:
        return check_endpoint_url(
            url, allow_http=settings.webhook_allow_http, allow_networks=settings.webhook_allow_networks
        )
    except ValueError as error:
        errors = [{"pointer": "/url", "detail": str(error)}]
        raise InvalidRequest(
            "The endpoint's URL cannot be used.", code="invalid_endpoint_url", errors=errors, status=422
        ) from None  # the cause may quote the URL, which may carry a token


def _endpoint_json(endpoint: Endpoint, source: str) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": sorted(endpoint.events),
        "mode": endpoint.mode.value,
        "source": source,
    }


def _delivery_json(record: DeliveryRecord) -> dict[str, Any]:
    delivery = record.delivery
    shown: dict[str, Any] = {
        "id": delivery.id,
        "endpoint_id": delivery.endpoint_id,
        "event_id": delivery.items[0].event_id,
        "event_type": delivery.event_type,
        "state": delivery.state.value,
        "created_at": clock.rfc3339(delivery.created_at),
        "attempts": delivery.attempts,
        "log": [
            {
                "number": attempt.number,
                "started_at": clock.rfc3339(attempt.started_at),
                "seconds": round(attempt.seconds, 3),
                "outcome": attempt.outcome,
                **({} if attempt.status is None else {"status": attempt.status}),
            }
            for attempt in record.log
        ],
    }
    if record.closed:
        shown["closed"] = record.closed
    if delivery.state is DeliveryState.PENDING:
        shown["next_attempt_at"] = clock.rfc3339(delivery.next_attempt_at)
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
        name="createEndpoint",
        method="POST",
        path="/endpoints",
        summary="Make a webhook endpoint",
        description="Webhooks are signed as Standard Webhooks 1.0.0 says, with the secret that only this answer shows.",
        scope=Scope.ENDPOINTS_WRITE,
        handler=create,
        request=NewEndpoint,
        response=CreatedEndpoint,
        status=HTTPStatus.CREATED,
    ),
    Operation(
        name="listEndpoints",
        method="GET",
        path="/endpoints",
        summary="The brand's webhook endpoints",
        scope=Scope.ENDPOINTS_READ,
        handler=index,
        response=EndpointList,
    ),
    Operation(
        name="deleteEndpoint",
        method="DELETE",
        path="/endpoints/{endpoint_id}",
        summary="Delete a webhook endpoint",
        description="Only endpoints made through the API; deliveries that wait for it are closed.",
        scope=Scope.ENDPOINTS_WRITE,
        handler=delete,
        response=None,
        status=HTTPStatus.NO_CONTENT,
    ),
    Operation(
        name="listDeliveries",
        method="GET",
        path="/deliveries",
        summary="The delivery log, newest event first",
        scope=Scope.ENDPOINTS_READ,
        handler=deliveries,
        query=DeliveryQuery,
        response=DeliveryPage,
    ),
)
