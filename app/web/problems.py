"""Errors as RFC 9457 problem documents: the one place where an exception becomes an HTTP answer under `/v1`.

`code` is what a program switches on; `type` leads to its line on the docs page. Nothing here repeats a value that
the caller sent, and no exception's text leaves the process unless we wrote it for the caller.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response, current_app, got_request_exception, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from app.errors import CallerError, InvalidRequest, TransientError
from app.lib.log import WARNING, log_event, log_failure

log = logging.getLogger("telltale.api")

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
BRANCH = "~"
"""In front of the name of a union's branch (a pydantic `Tag`), which is no name in the JSON: pointers leave it out."""
_MAX_FIELD_ERRORS = 20
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_]{1,40}", re.ASCII)

# Every code we send, with the sentence the docs page shows. Codes are never renamed.
CODES: dict[str, str] = {
    "bad_request": "The request could not be read.",
    "invalid_json": "The body is not valid JSON in UTF-8, or a string holds NUL.",
    "json_too_deep": "The JSON is nested deeper than 32 levels.",
    "json_not_an_object": "The body must be a JSON object.",
    "json_duplicate_name": "An object names the same member twice.",
    "unsupported_media_type": "Send `Content-Type: application/json`, without a content coding.",
    "invalid_request": "The JSON is sound but a field is not; `errors` says which.",
    "invalid_parameter": "A query parameter is unknown, repeated or out of range; `errors` says which.",
    "invalid_cursor": "The cursor is not one that this list gave out.",
    "invalid_idempotency_key": "`Idempotency-Key` must be 1 to 255 visible ASCII characters.",
    "idempotency_key_reused": "The key was used before with another request.",
    "idempotency_settings_changed": "The brand's settings changed since the first call with this key; use a new key.",
    "channel_not_enabled": "The brand does not use this channel.",
    "invalid_destination": "A link is malformed, not http or https, or outside the brand's domains.",
    "invalid_text": "A text holds half of a surrogate pair.",
    "invalid_values": "A recipient's values cannot fill a personalised link; `errors` says whose.",
    "tracking_not_allowed": "More tracking is asked for than the brand allows.",
    "too_many_links": "The content has more links than one message may have.",
    "body_too_large": "The body is larger than 8 MiB.",
    "batch_too_large": "Recipients times links are too many for one call; split the batch.",
    "response_too_large": "The rewritten content would be too large; ask for `return: links` or split the batch.",
    "invalid_endpoint_url": "The endpoint's URL cannot be used for webhooks.",
    "too_many_endpoints": "The brand has as many endpoints as it may have.",
    "endpoint_in_file": "The endpoint is the operator's, in the brands file; here it can only be disabled and enabled.",
    "endpoint_disabled": "The endpoint is disabled; enable it first.",
    "not_disabled": "Only enabling an endpoint that is disabled can recover what was parked.",
    "too_many_secrets": "The endpoint has three active secrets; revoke one first.",
    "last_secret": "The endpoint's only secret cannot be revoked; rotate it, with an overlap of 0.",
    "secret_revoked": "The secret that this call made was revoked meanwhile.",
    "too_many_replays": "The brand has as many replays running as it may have.",
    "search_too_wide": "There is too much to look through; ask for less time, or for a campaign.",
    "too_many_rows": "The figures asked for have more rows than one answer may have; ask for fewer days.",
    "unauthenticated": "The API key is missing, malformed, unknown or revoked.",
    "missing_scope": "The API key does not have the scope this call needs.",
    "not_found": "There is no such thing, or it is not yours.",
    "method_not_allowed": "The path exists; the method does not. `Allow` lists what does.",
    "unavailable": "A store did not answer in time. The same call may work after `Retry-After` seconds.",
    "internal_error": "Something broke on our side. It has been recorded.",
}


class UnsupportedMediaType(CallerError):
    status = 415
    title = "Unsupported media type"


def problem(
    status: int, detail: str, code: str, *, errors: Sequence[dict[str, str]] = (), headers: dict[str, str] | None = None
) -> Response:
    """A problem document as a response."""
    body: dict[str, Any] = {
        "type": f"/docs#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if errors:
        body["errors"] = list(errors)
    return Response(orjson.dumps(body), status=status, headers=headers, content_type=CONTENT_TYPE)


def from_error(error: Exception) -> Response:
    """The answer to any exception."""
    match error:
        case CallerError():
            headers = {"WWW-Authenticate": 'Bearer realm="telltale"'} if error.status == 401 else None
            return problem(error.status, error.detail, error.code, errors=error.errors, headers=headers)
        case TransientError():
            log_event(log, WARNING, "api_unavailable", error=type(error).__name__, operation=request.endpoint or "")
            retry = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return problem(503, CODES["unavailable"], "unavailable", headers=retry)
        case HTTPException():
            return _from_http(error)
        case _:
            return _unexpected(error)


def field_errors(error: ValidationError, *, status: int = 422, code: str = "invalid_request") -> InvalidRequest:
    """What pydantic found, as JSON pointers (RFC 6901) without the values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    errors = [{"pointer": _pointer(item["loc"]), "detail": _detail(item)} for item in found[:_MAX_FIELD_ERRORS]]
    count = len(found)
    detail = f"{count} field{'s are' if count > 1 else ' is'} not valid."
    return InvalidRequest(detail, code=code, errors=errors, status=status)


def register(flask_app: Flask, prefix: str) -> None:
    """Answer every error under `prefix` with a problem document; other paths keep Flask's own pages."""

    def handle(error: Exception) -> Response | Exception:
        if request.path == prefix or request.path.startswith(prefix + "/"):
            return from_error(error)
        return error

    flask_app.register_error_handler(HTTPException, handle)  # type: ignore[arg-type]  # Flask allows handing the error back


def _from_http(error: HTTPException) -> Response:
    status = error.code or 500
    match error:
        case RequestEntityTooLarge():
            return problem(413, CODES["body_too_large"], "body_too_large")
        case MethodNotAllowed():
            allow = {"Allow": ", ".join(sorted(error.valid_methods or ()))}
            return problem(405, CODES["method_not_allowed"], "method_not_allowed", headers=allow)
    if status == 404:
        return problem(404, "There is nothing at this path.", "not_found")
    if status >= 500:
        return _unexpected(error)
    return problem(status, CODES["bad_request"], "bad_request")


def _unexpected(error: Exception) -> Response:
    """Record a fault of ours without its text: an exception's message may quote what a recipient is called."""
    log_failure(log, "api_failed", error, operation=request.endpoint or "")
    # Flask sends this only for exceptions that nobody handles; error reporting (scrubbed) listens to it.
    got_request_exception.send(current_app._get_current_object(), exception=error)  # type: ignore[attr-defined]  # a proxy
    return problem(500, CODES["internal_error"], "internal_error")


def _pointer(location: tuple[int | str, ...]) -> str:
    """A pointer to the field. A name that the caller made up is left out unless it is plain: it may be personal."""
    parts: list[str] = []
    for part in location:
        if isinstance(part, str) and part.startswith(BRANCH):
            continue
        if isinstance(part, str) and not _PLAIN_NAME.fullmatch(part):
            break
        parts.append(str(part))
    return "".join("/" + part for part in parts)


def _detail(item: Any) -> str:
    if item["type"] == "extra_forbidden":
        return "This field is not known here."
    return str(item["msg"]).removeprefix("Value error, ")
