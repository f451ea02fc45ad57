"""`/v1/messages`: register, read, and report what the brand's own sender did. The rules are in `app.messages`."""

from __future__ import annotations

import base64
import logging
from http import HTTPStatus
from typing import Any, Literal

from app.brands.brand import Utm
from app.errors import InvalidRequest, NotFound
from app.event_json import event_json, events_json
from app.lib import clock
from app.messages import planning, register
from app.messages.draft import NO_UTM, Addressee, Draft
from app.messages.planning import Plan
from app.messages.register import Registered
from app.models.api_key import Scope
from app.models.block import Channel
from app.models.event import PUBLIC_KINDS, Event, EventKind, Verdict
from app.models.idempotency import Decision
from app.models.message import Message, Recipient
from app.tracking.codes import TOKEN_NUMBERS
from app.web.api import idempotency
from app.web.api.fields import parse_moment
from app.web.api.message_schemas import NewMessages, NewUtm, RegisteredMessages, mime_of
from app.web.api.operation import Call, Operation, Reply
from app.web.api.schemas import EventAnswer, MessageAnswer, NewEvent

log = logging.getLogger("telltale.api")


def create(call: Call) -> Reply:
    """Plan, commit, store, render: see `app.messages.register` for why in this order."""
    body = call.body_as(NewMessages)
    if faults := body.faults():
        raise InvalidRequest("A recipient is not valid.", errors=faults[:20], status=422)
    with_content = body.return_ == "content"
    planned = planning.plan(call.brand, _draft(body), with_content=with_content)
    return commit_and_render(call, planned, with_content=with_content)


def commit_and_render(call: Call, planned: Plan, *, with_content: bool) -> Reply:
    """The part that `POST /v1/links` shares: reserve, store, answer."""
    services = call.services
    commitment = idempotency.commit(
        call,
        lambda: Decision(start=services.numbers.reserve(planned.size)),
        plan=planned.fingerprint(services.urls),
    )
    start = commitment.decision.start
    if start is None:
        raise TypeError("an idempotency record of this call has no start")
    register.store(
        planned,
        start,
        commitment.created_at,
        blocks=services.blocks,
        messages=services.messages,
        address_hash=services.keyring.address_hash,
    )
    registered = register.render(planned, start, codes=services.codes, urls=services.urls, with_content=with_content)
    headers = commitment.headers
    if len(registered) == 1:
        headers = {**headers, "Location": f"/v1/messages/{registered[0].id}"}
    preview = planned.sms_preview(services.urls)
    answer = {
        "messages": [_registered_json(one) for one in registered],
        "warnings": list(planned.warnings),
        **({} if preview is None else {"segments": preview.as_json()}),
    }
    return Reply(answer, headers)


def read(call: Call) -> Reply:
    message = own_message(call)
    events = call.services.events.of_message(message.number)
    # What was only looked at or concluded is evidence: `explain` has it.
    shown = [event for event in events if event.kind in PUBLIC_KINDS and not event.implied]
    shown.sort(key=lambda event: (event.at_ms, event.id))  # what was reported has the id of the report
    return Reply({**_message_json(call, message, shown), **_first_human(events)})


def report(call: Call) -> Reply:
    """Idempotent by nature (one `sent` per message); the key only guards against reuse for another request."""
    body = call.body_as(NewEvent)
    message = own_message(call)
    commitment = idempotency.commit(call, Decision)
    # Without `at` a repeat must not move the event: the first call's time counts.
    moment = parse_moment(body.at) if body.at is not None else commitment.created_at
    at_ms = int(moment.timestamp() * 1000)
    block = call.services.block_cache.find(message.number)
    if block is None:  # blocks are stored before messages and never deleted
        raise NotFound("There is no such message.")
    event, batch = call.services.ingest.record_sent(call.brand, block, message.number, at_ms)
    call.services.wake(batch.endpoints)
    return Reply(event_json(event, call.services), commitment.headers)


def own_message(call: Call) -> Message:
    """The message that the path names. Raises as `message_of_brand`."""
    return message_of_brand(call, call.arguments["message_id"])


def message_of_brand(call: Call, message_id: str) -> Message:
    """A message of the caller's brand.

    Raises:
        NotFound: it is not there, or another brand's.
    """
    number = call.services.codes.message_number(message_id)
    message = None if number is None else call.services.messages.get(number) or _nobodys(call, number)
    # One answer for unknown and foreign: a brand learns nothing about another brand's ids.
    if message is None or message.brand_id != call.brand.id:
        raise NotFound("There is no such message.")
    return message


def _nobodys(call: Call, number: int) -> Message | None:
    """A link without a recipient (`POST /v1/links`): it has a block and no message document."""
    block = call.services.block_cache.find(number) if number < TOKEN_NUMBERS else None
    if block is None or block.message_of(number) != number:
        return None
    return Message(
        number=number,
        brand_id=block.brand_id,
        channel=block.channel,
        recipient=Recipient(""),
        address_hash="",
        created_at=block.created_at,
        campaign_id=block.campaign_id,
        list_id=block.list_id,
        job_source=block.job_source,
    )


def _draft(body: NewMessages) -> Draft:
    place = body.pixel
    return Draft(
        channel=Channel(body.channel),
        html=body.content.html,
        text=body.content.text,
        mime=mime_of(body.content),
        addressees=[
            Addressee(
                Recipient(given.address, given.id, given.name),
                {**body.metadata, **given.metadata},
                {**body.values, **given.values},
            )
            for given in body.recipients
        ],
        campaign_id=body.campaign_id,
        list_id=body.list_id,
        job_source=body.job_source,
        header_pixel=None if place is None else place in ("header", "both"),
        footer_pixel=None if place is None else place in ("footer", "both"),
        track_opens=body.tracking.opens,
        track_clicks=body.tracking.clicks,
        utm=utm_of(body.utm),
    )


def utm_of(given: NewUtm | Literal["none"] | None) -> Utm | None:
    """None: the brand's own."""
    if given is None or given == "none":
        return None if given is None else NO_UTM
    texts = {name: getattr(given, name) for name in ("source", "medium", "campaign", "term", "content")}
    parameters = tuple((f"utm_{name}", text) for name, text in texts.items() if text is not None)
    return Utm(parameters, replace=given.existing == "replace")


def _registered_json(one: Registered) -> dict[str, Any]:
    links = [
        {"id": f"lnk_{place}", "url": url, "tracked_url": tracked}
        for place, (url, tracked) in enumerate(one.links, start=1)
    ]
    optional = {
        "recipient_id": one.recipient_id,
        "html": one.html,
        "text": one.text,
        "mime": None if one.mime is None else base64.b64encode(one.mime).decode("ascii"),
        "pixel_url": one.pixel_url,
        "headers": one.headers,
    }
    given = {name: value for name, value in optional.items() if value is not None}
    return {"id": one.id, **given, "links": links, "unsubscribe_url": one.unsubscribe_url}


def _message_json(call: Call, message: Message, events: list[Event]) -> dict[str, Any]:
    person = _person_json(message) if message.address_hash else None
    about = {"campaign_id": message.campaign_id, "list_id": message.list_id, "job_source": message.job_source}
    return {
        "id": call.services.codes.message_id(message.number),
        "channel": message.channel.value,
        "state": _state(events),
        "created_at": clock.rfc3339(message.created_at),
        **{name: value for name, value in about.items() if value is not None},
        "erased": message.erased,
        **({} if person is None else {"recipient": person}),
        "metadata": dict(message.metadata),
        "events": events_json(events, call.services),
    }


def _person_json(message: Message) -> dict[str, Any]:
    recipient = message.recipient
    person = {"id": recipient.id, "address": recipient.address or None, "name": recipient.name}
    return {
        **{name: value for name, value in person.items() if value is not None},
        "address_hash": "sha256:" + message.address_hash,
    }


def _first_human(events: list[Event]) -> dict[str, str]:
    """When a person first opened and first clicked, by counted events; an open that a click implies is one."""
    first: dict[EventKind, int] = {}
    for event in events:
        if event.judgement.counted and event.judgement.verdict is Verdict.HUMAN:
            first[event.kind] = min(event.at_ms, first.get(event.kind, event.at_ms))
    return {
        f"first_human_{kind.value}_at": clock.rfc3339(clock.from_ms(first[kind]))
        for kind in (EventKind.OPENED, EventKind.CLICKED)
        if kind in first
    }


def _state(events: list[Event]) -> str:
    """The furthest thing that counts: what a machine did is in the timeline, not in the state."""
    kinds = {event.kind for event in events if event.judgement.counted}
    for kind in (EventKind.UNSUBSCRIBED, EventKind.CLICKED, EventKind.OPENED, EventKind.SENT):
        if kind in kinds:
            return kind.value
    return "registered"


OPERATIONS = (
    Operation(
        name="registerMessages",
        method="POST",
        path="/messages",
        summary="Register messages for tracking",
        description=(
            "One message, or up to 1,000 recipients who get the same content. Gives back, per recipient, the content "
            "with tracked links, pixel and unsubscribe link, ready to be sent by you."
        ),
        scope=Scope.MESSAGES_WRITE,
        handler=create,
        request=NewMessages,
        response=RegisteredMessages,
        status=HTTPStatus.CREATED,
    ),
    Operation(
        name="getMessage",
        method="GET",
        path="/messages/{message_id}",
        summary="State and timeline of a message",
        scope=Scope.MESSAGES_READ,
        handler=read,
        response=MessageAnswer,
    ),
    Operation(
        name="reportEvent",
        method="POST",
        path="/messages/{message_id}/events",
        summary="Report that a message was sent",
        description="A message is sent once: a second report answers the first one's event.",
        scope=Scope.EVENTS_WRITE,
        handler=report,
        request=NewEvent,
        response=EventAnswer,
    ),
)
