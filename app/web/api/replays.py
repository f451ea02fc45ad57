"""`/v1/replays`: deliveries once more. What is sent again and how fast is `app.webhooks.replay`."""

from __future__ import annotations

import logging
import re
from datetime import datetime
from typing import Any

from app.errors import BrokerUnavailable, InvalidRequest, NotFound
from app.lib import clock
from app.lib.log import WARNING, log_event
from app.models.api_key import Scope
from app.models.delivery import DeliveryState
from app.models.idempotency import Decision
from app.models.replay import RECOVERED_STATES, REPLAYED_STATES, Replay, Selection
from app.services import Services
from app.storage.event_deliveries import EventDeliveries
from app.storage.replays import Replays, new_replay_id
from app.web.api import idempotency
from app.web.api.endpoint_settings import check_endpoint_id
from app.web.api.fields import parse_moment
from app.web.api.operation import Call, Operation, Reply
from app.web.api.webhook_schemas import NewReplay, ReplayAnswer, ReplayList
from app.webhooks import replay as replaying
from config.queues import TaskName

_log = logging.getLogger("telltale.api")
_REPLAY_ID = re.compile(r"rpl_[0-9A-Z]{26}", re.ASCII)
_NO_REPLAY = "There is no such replay."


def create(call: Call) -> Reply:
    body, now = call.body_as(NewReplay), clock.from_ms(clock.now_ms())
    chosen = _selection(body, now)
    if body.endpoint_id is not None:
        check_endpoint_id(call, body.endpoint_id)
    if body.dry_run:
        total = replaying.count(call.services.deliveries, _finder(call.services), call.brand.id, chosen)
        return Reply({"state": "dry_run", **_selection_json(chosen), "total": total, "done": 0})
    commitment = idempotency.commit(call, lambda: Decision(resource=new_replay_id()))
    replay_id = commitment.decision.resource or ""
    replay = find_replay(call, replay_id) or begin_replay(call, replay_id, chosen, now)
    return Reply(_replay_json(replay), commitment.headers)


def index(call: Call) -> Reply:
    found = _ledger(call.services).list_for_brand(call.brand.id)
    return Reply({"replays": [_replay_json(replay) for replay in found]})


def show(call: Call) -> Reply:
    return Reply(_replay_json(_found(call)))


def cancel(call: Call) -> Reply:
    """What is made due already is sent; of a replay that has ended nothing changes."""
    replay = _found(call)
    commitment = idempotency.commit(call, lambda: Decision(resource=replay.id))
    _ledger(call.services).cancel(call.brand.id, replay.id, now=clock.now())
    return Reply(_replay_json(_found(call)), commitment.headers)


def find_replay(call: Call, replay_id: str) -> Replay | None:
    # What is spelt otherwise never gets into a query, which a slow store would log.
    return _ledger(call.services).get(call.brand.id, replay_id) if _REPLAY_ID.fullmatch(replay_id) else None


def begin_replay(call: Call, replay_id: str, chosen: Selection, now: datetime) -> Replay:
    """Store a replay and have it begin now.

    Raises:
        Conflict: the brand has as many running as it may have.
    """
    services = call.services
    replay = replaying.begin(
        _ledger(services),
        services.deliveries,
        _finder(services),
        replay_id=replay_id,
        brand_id=call.brand.id,
        chosen=chosen,
        now=now,
    )
    try:
        services.broker.enqueue(TaskName.REPLAY)
    except BrokerUnavailable:
        log_event(_log, WARNING, "replay_not_begun", brand_id=call.brand.id)  # the next tick of beat begins it
    return replay


def _found(call: Call) -> Replay:
    replay = find_replay(call, call.arguments["replay_id"])
    if replay is None:
        raise NotFound(_NO_REPLAY)
    return replay


def _ledger(services: Services) -> Replays:
    return Replays(services.database)


def _finder(services: Services) -> EventDeliveries:
    return EventDeliveries(services.database)


def _selection(body: NewReplay, now: datetime) -> Selection:
    """Raises:
    InvalidRequest: (422) the fields do not go together.
    """
    if (body.event_ids is None) == (body.since is None):
        raise _wrong("/since", "give either event_ids or since")
    if body.event_ids is not None and (body.until is not None or body.recover):
        raise _wrong("/event_ids", "cannot be given with until or recover")
    if body.recover and body.states is not None:
        raise _wrong("/states", "cannot be given with recover")
    default = RECOVERED_STATES if body.event_ids is None else REPLAYED_STATES
    states = frozenset(DeliveryState(state) for state in body.states) if body.states else default
    since = parse_moment(body.since) if body.since else now
    until = min(parse_moment(body.until), now) if body.until else now
    if body.since is not None and since >= until:
        raise _wrong("/until", "must be after since")
    return Selection(since, until, body.endpoint_id, states, tuple(dict.fromkeys(body.event_ids or ())))


def _wrong(pointer: str, detail: str) -> InvalidRequest:
    errors = [{"pointer": pointer, "detail": detail}]
    return InvalidRequest("The replay is not described soundly.", errors=errors, status=422)


def _selection_json(chosen: Selection) -> dict[str, Any]:
    shown: dict[str, Any] = {"states": sorted(state.value for state in chosen.states)}
    if chosen.endpoint_id is not None:
        shown["endpoint_id"] = chosen.endpoint_id
    if not chosen.event_ids:
        shown |= {"since": clock.rfc3339(chosen.since), "until": clock.rfc3339(chosen.until)}
    return shown


def _replay_json(replay: Replay) -> dict[str, Any]:
    shown = {
        "id": replay.id,
        "state": replay.state.value,
        **_selection_json(replay.selection),
        "created_at": clock.rfc3339(replay.created_at),
        "total": replay.total,
        "done": replay.done,
    }
    if replay.finished_at is not None:
        shown["finished_at"] = clock.rfc3339(replay.finished_at)
    return shown


OPERATIONS = (
    Operation(
        name="createReplay",
        method="POST",
        path="/replays",
        summary="Send deliveries again",
        description=(
            "The same bytes under the same `webhook-id`, with a new count of attempts, at a capped rate behind what is"
            " new. With `dry_run` nothing is sent and only the count is answered. At most five run at a time."
        ),
        scope=Scope.ENDPOINTS_WRITE,
        handler=create,
        request=NewReplay,
        response=ReplayAnswer,
        may_miss=True,
    ),
    Operation(
        name="listReplays",
        method="GET",
        path="/replays",
        summary="The brand's last replays",
        scope=Scope.ENDPOINTS_READ,
        handler=index,
        response=ReplayList,
    ),
    Operation(
        name="getReplay",
        method="GET",
        path="/replays/{replay_id}",
        summary="How far a replay has come",
        scope=Scope.ENDPOINTS_READ,
        handler=show,
        response=ReplayAnswer,
    ),
    Operation(
        name="cancelReplay",
        method="DELETE",
        path="/replays/{replay_id}",
        summary="Stop a replay",
        description="What it has put back into the queue already, the next few seconds' worth, is still sent.",
        scope=Scope.ENDPOINTS_WRITE,
        handler=cancel,
        response=ReplayAnswer,
    ),
)
