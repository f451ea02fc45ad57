"""From an HTTP request to an operation's handler and back: key, scope, body, query, in this order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
from flask import Response, request
from pydantic import ValidationError

from app.errors import InvalidRequest, Unauthenticated
from app.web import strict_json
from app.web.api import idempotency
from app.web.api.fields import Schema
from app.web.api.operation import Call, Operation, Reply
from app.web.auth import Authenticator, require
from app.web.problems import UnsupportedMediaType, field_errors

if TYPE_CHECKING:
    from app.services import Services

_JSON = "application/json"


def view(operation: Operation, services: Services, authenticator: Authenticator) -> Callable[..., Response]:
    """The Flask view of an operation. Errors are raised; `app.web.problems` answers them."""

    def run(**arguments: str) -> Response:
        key = authenticator.authenticate(request.headers.get("Authorization"))
        require(key, operation.scope)
        brand = services.brands.by_id(key.brand_id)
        if brand is None:  # taken out of the brands file; its keys stay, and mean nothing until it is back
            raise Unauthenticated("The API key is unknown or revoked.")
        header = idempotency.parse_key(request.headers.get(idempotency.HEADER)) if operation.mutating else None
        raw = _body() if operation.mutating else b""
        call = Call(
            services=services,
            brand=brand,
            method=operation.method,
            path=request.path,
            arguments=arguments,
            raw=raw,
            body=_parsed(operation.request, raw),
            query=_query(operation.query),
            idempotency_key=header,
        )
        authenticator.used(key)
        return _answer(operation, operation.handler(call))

    return run


def _body() -> bytes:
    # Raises RequestEntityTooLarge as soon as the length is known, before reading.
    request.max_content_length = strict_json.MAX_BYTES
    return request.get_data(cache=False)


def _parsed(schema: type[Schema] | None, raw: bytes) -> Schema | None:
    if schema is None:
        return None
    if request.mimetype != _JSON or request.mimetype_params.get("charset", "utf-8").lower() != "utf-8":
        raise UnsupportedMediaType("Send Content-Type: application/json, in UTF-8.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body without a content coding.")
    try:
        return schema.model_validate(strict_json.parse_object(raw))
    except ValidationError as error:
        # `from None`: pydantic's text quotes what it validated.
        raise field_errors(error) from None


def _query(schema: type[Schema] | None) -> Schema | None:
    found: dict[str, str] = {}
    for name, values in request.args.lists():
        if schema is None or len(values) > 1:
            raise InvalidRequest("A query parameter is unknown or repeated.", code="invalid_parameter")
        found[name] = values[0]
    if schema is None:
        return None
    try:
        return schema.model_validate(found)
    except ValidationError as error:
        raise field_errors(error, status=400, code="invalid_parameter") from None


def _answer(operation: Operation, reply: Reply) -> Response:
    headers: dict[str, Any] = dict(reply.headers)
    if reply.body is None:
        return Response(status=operation.status, headers=headers)
    return Response(orjson.dumps(reply.body), status=operation.status, headers=headers, content_type=_JSON)
