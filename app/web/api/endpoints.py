"""`/v1/endpoints`: where a brand's webhooks go. Their secrets are `endpoint_secrets`, how it went `deliveries`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any

from app.errors import Conflict, NotFound
from app.lib import clock, ids
from app.models.api_key import Scope
from app.models.delivery import Endpoint
from app.models.idempotency import Decision
from app.storage.endpoint_documents import StoredEndpoint
from app.storage.endpoints import new_endpoint_id
from app.storage.replays import ID_PREFIX as REPLAY_PREFIX
from app.web.api import idempotency
from app.web.api.endpoint_secrets import make_secret, secret_text
from app.web.api.endpoint_settings import (
    apply,
    endpoint_json,
    file_endpoint,
    find_endpoint,
    stored_endpoint,
    stored_json,
)
from app.web.api.endpoint_states import state_json, switch
from app.web.api.operation import Call, Operation, Reply
from app.web.api.replays import begin_replay, find_replay
from app.web.api.webhook_schemas import (
    CreatedEndpoint,
    EndpointAnswer,
    EndpointChange,
    EndpointList,
    NewEndpoint,
    TestAnswer,
)
from app.webhooks.endpoint_secrets import new_secret_id
from app.webhooks.probe import test_delivery
from app.webhooks.replay import recovery

_CHANGE_ID = "chg_"


def create(call: Call) -> Reply:
    """A repeat with the same key gives the same endpoint and its secret again, as long as the key is remembered."""
    body = call.body_as(NewEndpoint)
    secret = make_secret(body.secret, new_secret_id(), clock.from_ms(clock.now_ms()))
    empty = StoredEndpoint(Endpoint(id="", brand_id=call.brand.id, url="", secrets=(secret,)), clock.now())
    made = apply(empty, body, set(NewEndpoint.model_fields), call.services)
    commitment = idempotency.commit(call, lambda: Decision(resource=new_endpoint_id()))
    endpoint = replace(made.endpoint, id=commitment.decision.resource or "")
    # Inserting an id that is there changes nothing, so what is stored, and not what we made up, is the answer.
    call.services.endpoints.insert(endpoint, created_at=commitment.created_at, description=made.description)
    stored = call.services.endpoints.get(call.brand.id, endpoint.id)
    if stored is None:
        raise Conflict("The endpoint was deleted while it was made.", code="not_found")
    shown = {**stored_json(stored, clock.now()), "secret": secret_text(stored.endpoint.secrets[0])}
    return Reply(shown, commitment.headers)


def index(call: Call) -> Reply:
    now, health = clock.now(), call.services.endpoint_health.of_brand(call.brand.id)
    known = [endpoint_json(endpoint, now) for endpoint in call.brand.endpoints]
    known += [stored_json(stored, now) for stored in call.services.endpoints.list_for_brand(call.brand.id)]
    return Reply({"endpoints": [one | (state_json(health[one["id"]]) if one["id"] in health else {}) for one in known]})


def show(call: Call) -> Reply:
    return Reply(_shown(call, call.arguments["endpoint_id"], clock.now()))


def change(call: Call) -> Reply:
    """Settings first, then the switch: what is sent from then on goes where the owner wants it."""
    body, endpoint_id, now = call.body_as(EndpointChange), call.arguments["endpoint_id"], clock.now()
    names = set(body.model_fields_set) - {"disabled", "recover"}
    if names or file_endpoint(call.brand, endpoint_id) is None:
        apply(stored_endpoint(call), body, names, call.services)
    _check_recover(call, body)
    commitment = idempotency.commit(call, lambda: Decision(resource=_CHANGE_ID + ids.to_text(ids.new_id())))
    change_id = commitment.decision.resource or ""
    if names:
        changed = call.services.endpoints.update(
            call.brand.id,
            endpoint_id,
            lambda stored: apply(stored, body, names, call.services),
            change_id=change_id,
        )
        if changed is None:
            raise NotFound("The endpoint was deleted meanwhile.")
    replay = _switch(call, body, change_id, now) if "disabled" in body.model_fields_set else {}
    return Reply(_shown(call, endpoint_id, now) | replay, commitment.headers)


def delete(call: Call) -> Reply:
    endpoint_id = call.arguments["endpoint_id"]
    # A repeat finds nothing to delete, and that is what it asked for.
    if idempotency.earlier(call) is None:
        stored_endpoint(call)
    commitment = idempotency.commit(call, lambda: Decision(resource=endpoint_id))
    call.services.endpoints.delete(call.brand.id, endpoint_id)
    call.services.endpoint_health.remove(call.brand.id, endpoint_id)
    return Reply(None, commitment.headers)


def send_test(call: Call) -> Reply:
    """Its own way through everything: stored, planned, signed and sent as any event."""
    endpoint = find_endpoint(call)
    if call.services.endpoint_health.of(call.brand.id, endpoint.id).disabled is not None:
        raise Conflict("The endpoint is disabled; enable it first.", code="endpoint_disabled")
    commitment = idempotency.commit(call, lambda: Decision(resource=ids.event_id_text(ids.new_id())))
    event_id = commitment.decision.resource or ""
    delivery = test_delivery(endpoint, event_id, commitment.created_at)
    call.services.deliveries.insert_many([delivery])  # what is there already stays as it is
    call.services.wake({(call.brand.id, endpoint.id)})
    return Reply({"delivery_id": delivery.id, "event_id": event_id}, commitment.headers)


def _shown(call: Call, endpoint_id: str, now: datetime) -> dict[str, Any]:
    of_file = file_endpoint(call.brand, endpoint_id)
    shown = stored_json(stored_endpoint(call), now) if of_file is None else endpoint_json(of_file, now)
    return shown | state_json(call.services.endpoint_health.of(call.brand.id, endpoint_id))


def _check_recover(call: Call, body: EndpointChange) -> None:
    if not body.recover:
        return
    if body.disabled or "disabled" not in body.model_fields_set:
        raise Conflict("Only enabling an endpoint (`disabled: false`) can recover.", code="not_disabled")
    if idempotency.earlier(call) is not None:
        return
    if call.services.endpoint_health.of(call.brand.id, call.arguments["endpoint_id"]).disabled is None:
        detail = "The endpoint is not disabled; replay what you want with POST /v1/replays."
        raise Conflict(detail, code="not_disabled")


def _switch(call: Call, body: EndpointChange, change_id: str, now: datetime) -> dict[str, str]:
    """The replay is stored before the endpoint is on: a call that dies between the two is made good by its repeat."""
    endpoint_id, shown = call.arguments["endpoint_id"], {}
    health = call.services.endpoint_health.of(call.brand.id, endpoint_id)
    if body.recover:
        replay_id = REPLAY_PREFIX + change_id.removeprefix(_CHANGE_ID)
        missed = recovery(endpoint_id, health, now)
        if missed is not None and find_replay(call, replay_id) is None:
            begin_replay(call, replay_id, missed, now)
        shown = {"replay_id": replay_id}
    switch(call.services, call.brand.id, endpoint_id, disabled=body.disabled, now=now)
    return shown


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
        name="getEndpoint",
        method="GET",
        path="/endpoints/{endpoint_id}",
        summary="One webhook endpoint",
        scope=Scope.ENDPOINTS_READ,
        handler=show,
        response=EndpointAnswer,
    ),
    Operation(
        name="changeEndpoint",
        method="PATCH",
        path="/endpoints/{endpoint_id}",
        summary="Change, disable or enable a webhook endpoint",
        description=(
            "What is left out stays as it is; the next attempt of what waits already goes by what is new. Endpoints of"
            " the operator's brands file can only be disabled and enabled."
        ),
        scope=Scope.ENDPOINTS_WRITE,
        handler=change,
        request=EndpointChange,
        response=EndpointAnswer,
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
        name="testEndpoint",
        method="POST",
        path="/endpoints/{endpoint_id}/test",
        summary="Send a test event",
        description="An event `endpoint.test`, sent as any other, whatever types the endpoint takes.",
        scope=Scope.ENDPOINTS_WRITE,
        handler=send_test,
        response=TestAnswer,
        status=HTTPStatus.ACCEPTED,
    ),
)
