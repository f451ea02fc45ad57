"""`/v1/endpoints/{id}/secrets`: rotate and revoke. The rules are in `app.webhooks.endpoint_secrets`."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus

from app.brands.secrets import new_webhook_secret, parse_webhook_secret
from app.errors import Conflict, NotFound
from app.lib import clock
from app.models.api_key import Scope
from app.models.delivery import Endpoint, Secret
from app.models.idempotency import Decision
from app.storage.endpoint_documents import StoredEndpoint
from app.web.api import idempotency
from app.web.api.endpoint_settings import refused, secrets_json, stored_endpoint
from app.web.api.operation import Call, Operation, Reply
from app.web.api.webhook_schemas import NewSecret, RotateSecret
from app.webhooks.endpoint_secrets import new_secret_id, revoked, rotated

_SECRET_ID = re.compile(r"sec_[0-9A-Z]{26}", re.ASCII)


def make_secret(text: str | None, secret_id: str, now: datetime) -> Secret:
    """A secret from its text form; a fresh one without.

    Raises:
        InvalidRequest: (422) the text is no such secret.
    """
    try:
        key = parse_webhook_secret(new_webhook_secret() if text is None else text)
    except ValueError as error:
        raise refused("/secret", str(error)) from None
    return Secret(key, secret_id, now)


def secret_text(secret: Secret) -> str:
    return "whsec_" + base64.b64encode(secret.key).decode("ascii")


def rotate(call: Call) -> Reply:
    """A repeat with the same key gives the same secret again, as long as the key is remembered."""
    body = call.body_as(RotateSecret)
    make_secret(body.secret, "", clock.now())
    stored_endpoint(call)
    commitment = idempotency.commit(call, lambda: Decision(resource=new_secret_id()))
    secret_id, now = commitment.decision.resource or "", clock.now()
    new, overlap = make_secret(body.secret, secret_id, commitment.created_at), timedelta(seconds=body.overlap_seconds)
    stored = _change(call, lambda endpoint: rotated(endpoint, new, overlap, now), secret_id)
    # What is stored, and not what we made up: another call with this key may have been first.
    secret = next((one for one in stored.endpoint.secrets if one.id == secret_id), None)
    if secret is None:
        raise Conflict("The secret was revoked meanwhile.", code="secret_revoked")
    shown = {"id": secret_id, "secret": secret_text(secret), "secrets": secrets_json(stored.endpoint, now)}
    return Reply(shown, commitment.headers)


def revoke(call: Call) -> Reply:
    """No request that begins from now on is signed with it."""
    secret_id, now = call.arguments["secret_id"], clock.now()
    if not _SECRET_ID.fullmatch(secret_id):
        raise NotFound("The endpoint has no such active secret.")
    stored = stored_endpoint(call)
    if idempotency.earlier(call) is None:
        revoked(stored.endpoint, secret_id, now)
    commitment = idempotency.commit(call, lambda: Decision(resource=new_secret_id()))
    _change(call, lambda endpoint: revoked(endpoint, secret_id, now), commitment.decision.resource or "")
    return Reply(None, commitment.headers)


def _change(call: Call, change: Callable[[Endpoint], Endpoint], change_id: str) -> StoredEndpoint:
    changed = call.services.endpoints.update(
        call.brand.id,
        call.arguments["endpoint_id"],
        lambda stored: replace(stored, endpoint=change(stored.endpoint)),
        change_id=change_id,
    )
    if changed is None:
        raise NotFound("The endpoint was deleted meanwhile.")
    return changed


OPERATIONS = (
    Operation(
        name="rotateSecret",
        method="POST",
        path="/endpoints/{endpoint_id}/secrets",
        summary="Give an endpoint a new signing secret",
        description=(
            "The secrets of now go on to sign until the overlap ends, so the signature header holds one signature for"
            " each. At most three are active at a time."
        ),
        scope=Scope.ENDPOINTS_WRITE,
        handler=rotate,
        request=RotateSecret,
        response=NewSecret,
        status=HTTPStatus.CREATED,
    ),
    Operation(
        name="revokeSecret",
        method="DELETE",
        path="/endpoints/{endpoint_id}/secrets/{secret_id}",
        summary="End a signing secret at once",
        description="If it was the current one, the one before it becomes current again. The only one cannot be ended.",
        scope=Scope.ENDPOINTS_WRITE,
        handler=revoke,
        response=None,
        status=HTTPStatus.NO_CONTENT,
    ),
)
