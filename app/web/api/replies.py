"""`POST /v1/replies`: what somebody answered to an SMS. Understood by `app.messages.stop_words`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.errors import InvalidRequest
from app.messages.addresses import check_address
from app.messages.stop_words import ReplyKind, parse_reply
from app.models.api_key import Scope
from app.models.block import Channel
from app.models.idempotency import Decision
from app.models.suppression import WHOLE_BRAND
from app.web.api import idempotency
from app.web.api.fields import Address, Answer, Schema
from app.web.api.operation import Call, Operation, Reply


class NewReply(Schema):
    address: Address = Field(description="The phone number it came from, in E.164 form.")
    text: str = Field(min_length=1, max_length=2000)


class ReplyAnswer(Answer):
    kind: Literal["stop", "start", "help", "none"]
    suppressed: bool = Field(description="Whether the number is suppressed now because of this reply.")


def take(call: Call) -> Reply:
    """STOP ends every SMS of the brand to the number; a second one changes nothing."""
    body = call.body_as(NewReply)
    try:
        check_address(Channel.SMS, body.address)
    except ValueError as error:
        errors = [{"pointer": "/address", "detail": str(error)}]
        raise InvalidRequest("The address is not valid.", errors=errors, status=422) from None
    commitment = idempotency.commit(call, Decision)
    reply = parse_reply(body.text, call.brand.stop_words)
    stop = reply.kind is ReplyKind.STOP
    if stop:
        call.services.suppressions.add(
            call.brand.id,
            call.services.keyring.address_hash(call.brand.id, Channel.SMS, body.address),
            list_id=WHOLE_BRAND,
            reason="stop_word",
            at=commitment.created_at,
            message=None,
        )
    return Reply({"kind": reply.kind.value, "suppressed": stop}, commitment.headers)


OPERATIONS = (
    Operation(
        name="takeReply",
        method="POST",
        path="/replies",
        summary="Hand on an answer to an SMS",
        description=(
            "Says what it means. STOP, its usual forms in several languages and the brand's own stop words suppress "
            "the number for every SMS of the brand. START does not lift a suppression: that is for you to decide."
        ),
        scope=Scope.MESSAGES_WRITE,
        handler=take,
        request=NewReply,
        response=ReplyAnswer,
    ),
)
