"""`/v1/recipients`: erase a person, and export what is held about one. The rules are in `app.messages.erasure`."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import orjson

from app.errors import InvalidRequest, NotFound
from app.event_json import events_json
from app.ingest.personal import PURPOSE
from app.lib import clock
from app.messages.addresses import check_address
from app.models.api_key import Scope
from app.models.block import Channel
from app.models.event import Event
from app.models.idempotency import Decision
from app.models.message import Message
from app.web.api import idempotency
from app.web.api.operation import Call, Operation, Reply
from app.web.api.recipient_schemas import ErasedAnswer, ErasePerson, ExportPerson, PersonAnswer, PersonRef

MAX_EVENTS = 2000
"""On one page of an export: the page ends after the message that reaches it."""


def erase(call: Call) -> Reply:
    body = call.body_as(ErasePerson)
    address_hash = _hash(call, body)
    # Calling again is harmless by nature; the key only guards against reuse for another person.
    commitment = idempotency.commit(call, Decision)
    erased = call.services.erasure.erase(call.brand.id, address_hash, suppress=body.suppress, at=commitment.created_at)
    answer = {"messages": erased.messages, "complete": erased.complete, "suppressed": body.suppress}
    return Reply(answer, commitment.headers)


def export(call: Call) -> Reply:
    body = call.body_as(ExportPerson)
    services = call.services
    address_hash = _hash(call, body)
    after = None if body.cursor is None else services.codes.message_number(body.cursor)
    if body.cursor is not None and after is None:
        raise InvalidRequest("The cursor is not one of this list.", code="invalid_cursor")
    found = services.messages.of_recipient(call.brand.id, address_hash, after=after, limit=body.limit + 1)
    page = _page(call, found[: body.limit])
    suppressions = services.suppressions.of_address(call.brand.id, address_hash)
    return Reply(
        {
            "address_hash": "sha256:" + address_hash,
            "suppressions": [
                {"list_id": row.list_id, "reason": row.reason, "at": clock.rfc3339(row.at)} for row in suppressions
            ],
            "messages": page,
            "next_cursor": page[-1]["id"] if len(found) > len(page) else None,
        }
    )


def _hash(call: Call, who: PersonRef) -> str:
    """The person's keyed hash, by address or by one of their messages."""
    services = call.services
    if who.address is not None:
        try:
            phone = who.address.startswith("+") and "@" not in who.address
            channel = Channel.SMS if phone else Channel.EMAIL
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


def _page(call: Call, messages: Sequence[Message]) -> list[dict[str, Any]]:
    """As many of the messages as have room with all their events, at least one."""
    page: list[dict[str, Any]] = []
    events = 0
    for message in messages:
        page.append(_message_json(call, message))
        events += len(page[-1]["events"])
        if events >= MAX_EVENTS:
            break
    return page


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
            {**shown, **personal}
            for shown, personal in zip(events_json(events, services), _personal(call, events), strict=True)
        ],
    }


def _personal(call: Call, events: Sequence[Event]) -> list[dict[str, Any]]:
    """What was sealed for the person with each event."""
    sealed = [event for event in events if event.personal]
    texts = call.services.vault.open_many(PURPOSE, [(event.brand_id, event.personal) for event in sealed])
    opened = {event.id: orjson.loads(text) for event, text in zip(sealed, texts, strict=True) if text is not None}
    return [{"personal": opened[event.id]} if event.id in opened else {} for event in events]


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
        may_miss=True,
        status=HTTPStatus.OK,
    ),
    Operation(
        name="exportRecipient",
        method="POST",
        path="/recipients/export",
        summary="Everything held about a person",
        description=(
            "POST, so that the address stands in no log. Newest messages first, with at most 1,000 events of each."
        ),
        scope=Scope.RECIPIENTS_READ,
        handler=export,
        request=ExportPerson,
        response=PersonAnswer,
        may_miss=True,
        status=HTTPStatus.OK,
    ),
)
