"""`/v1/recipients`: erase a person, and export what is held about one. The rules are in `app.messages.erasure`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson

from app.errors import InvalidRequest, NotFound
from app.ingest.personal import PURPOSE
from app.lib import clock
from app.messages.addresses import check_address
from app.models.api_key import Scope
from app.models.block import Channel
from app.models.event import Event
from app.models.message import Message
from app.web.api.event_json import events_json
from app.web.api.operation import Call, Operation, Reply
from app.web.api.recipient_schemas import ErasedAnswer, ErasePerson, ExportPerson, PersonAnswer, PersonRef


def erase(call: Call) -> Reply:
    body = call.body_as(ErasePerson)
    address_hash = _hash(call, body)
    erased = call.services.erasure.erase(call.brand.id, address_hash, suppress=body.suppress, at=clock.now())
    return Reply({"messages": erased.messages, "complete": erased.complete, "suppressed": body.suppress})


def export(call: Call) -> Reply:
    body = call.body_as(ExportPerson)
    services = call.services
    address_hash = _hash(call, body)
    after = None if body.cursor is None else services.codes.message_number(body.cursor)
    if body.cursor is not None and after is None:
        raise InvalidRequest("The cursor is not one of ours.", code="invalid_parameter", status=422)
    found = services.messages.of_recipient(call.brand.id, address_hash, after=after, limit=body.limit + 1)
    page = found[: body.limit]
    suppressions = services.suppressions.of_address(call.brand.id, address_hash)
    return Reply(
        {
            "address_hash": "sha256:" + address_hash,
            "suppressions": [
                {"list_id": row.list_id, "reason": row.reason, "at": clock.rfc3339(row.at)} for row in suppressions
            ],
            "messages": [_message_json(call, message) for message in page],
            "next_cursor": services.codes.message_id(page[-1].number) if len(found) > body.limit else None,
        }
    )


def _hash(call: Call, who: PersonRef) -> str:
    """The person's keyed hash, by address or by one of their messages."""
    services = call.services
    if who.address is not None:
        try:
            channel = Channel.SMS if who.address.startswith("+") else Channel.EMAIL
            check_address(channel, who.address)
        except ValueError as error:
            errors = [{"pointer": "/address", "detail": str(error)}]
            raise InvalidRequest("The address is not valid.", errors=errors, status=422) from None
        return services.keyring.address_hash(call.brand.id, channel, who.address)
    number = services.codes.message_number(who.message_id or "")
    found = None if number is None else services.messages.owner_of(number)
    if found is None or found[0] != call.brand.id:
        raise NotFound("There is no such message, or its recipient is erased.")
    return found[1]


def _message_json(call: Call, message: Message) -> dict[str, Any]:
    services, recipient = call.services, message.recipient
    events = services.events.of_message(message.number)
    about = {
        "campaign_id": message.campaign_id,
        "list_id": message.list_id,
        "job_source": message.job_source,
        "address": recipient.address or None,
        "recipient_id": recipient.id,
        "name": recipient.name,
    }
    return {
        "id": services.codes.message_id(message.number),
        "channel": message.channel.value,
        "created_at": clock.rfc3339(message.created_at),
        **{name: value for name, value in about.items() if value is not None},
        "metadata": dict(message.metadata),
        "values": dict(message.values),
        "events": [
            {**shown, **_personal(call, event)}
            for shown, event in zip(events_json(events, services), events, strict=True)
        ],
    }


def _personal(call: Call, event: Event) -> dict[str, Any]:
    """What was sealed for the person with this event."""
    if not event.personal:
        return {}
    opened = call.services.vault.open_many(PURPOSE, [(event.brand_id, event.personal)])[0]
    return {} if opened is None else {"personal": orjson.loads(opened)}


OPERATIONS = (
    Operation(
        name="eraseRecipient",
        method="POST",
        path="/recipients/erase",
        summary="Erase a person",
        description=(
            "Destroys the key that everything personal about them is encrypted with, and takes out what points at "
            "them. Their links go on leading somewhere, their unsubscribe page still answers, nothing they do is "
            "stored. Cannot be undone. When `complete` is false, call again."
        ),
        scope=Scope.RECIPIENTS_WRITE,
        handler=erase,
        request=ErasePerson,
        response=ErasedAnswer,
        status=HTTPStatus.OK,
    ),
    Operation(
        name="exportRecipient",
        method="POST",
        path="/recipients/export",
        summary="Everything held about a person",
        description="POST, so that the address stands in no log. Newest messages first.",
        scope=Scope.RECIPIENTS_READ,
        handler=export,
        request=ExportPerson,
        response=PersonAnswer,
        status=HTTPStatus.OK,
    ),
)
