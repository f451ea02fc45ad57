"""The `/v1` API. The table of calls is `OPERATIONS`; `dispatch` runs it, `app.web.openapi` describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from flask import Blueprint, Flask, Response, request

from app.web import docs_page, openapi, problems
from app.web.api import (
    deliveries,
    endpoint_secrets,
    endpoints,
    event_search,
    events,
    explain,
    links,
    lint,
    messages,
    recipients,
    replays,
    replies,
    stats,
    tokens,
)
from app.web.api.dispatch import view
from app.web.auth import Authenticator

if TYPE_CHECKING:
    from app.services import Services

PREFIX = "/v1"
DOCUMENT_PATH = f"{PREFIX}/openapi.json"
OPERATIONS = (
    *messages.OPERATIONS,
    *explain.OPERATIONS,
    *lint.OPERATIONS,
    *links.OPERATIONS,
    *tokens.OPERATIONS,
    *events.OPERATIONS,
    *event_search.OPERATIONS,
    *stats.OPERATIONS,
    *replies.OPERATIONS,
    *recipients.OPERATIONS,
    *endpoints.OPERATIONS,
    *endpoint_secrets.OPERATIONS,
    *deliveries.OPERATIONS,
    *replays.OPERATIONS,
)

_API_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_PAGE_HEADERS = {
    "Content-Security-Policy": docs_page.CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def register(flask_app: Flask, services: Services) -> None:
    """Add `/v1/…`, `/v1/openapi.json` and `/docs`, and problem documents for every error under `/v1`."""
    authenticator = Authenticator(lambda: services.api_keys)
    blueprint = Blueprint("api", __name__, url_prefix=PREFIX)
    for operation in OPERATIONS:
        blueprint.add_url_rule(
            operation.path.replace("{", "<").replace("}", ">"),
            endpoint=operation.name,
            view_func=view(operation, services, authenticator),
            methods=[operation.method],
        )
    blueprint.register_error_handler(Exception, problems.from_error)
    flask_app.register_blueprint(blueprint)
    problems.register(flask_app, PREFIX)
    flask_app.after_request(_add_headers)
    _register_documents(flask_app)


def _register_documents(flask_app: Flask) -> None:
    """Both documents are made once, when the process starts."""
    document = openapi.build(OPERATIONS, prefix=PREFIX)
    document_bytes = orjson.dumps(document)
    page = docs_page.render(document, problems.CODES, document_url=DOCUMENT_PATH)
    flask_app.add_url_rule(
        DOCUMENT_PATH,
        endpoint="openapi",
        view_func=lambda: Response(document_bytes, content_type="application/json"),
    )
    flask_app.add_url_rule(
        "/docs",
        endpoint="docs",
        view_func=lambda: Response(page, headers=_PAGE_HEADERS, content_type="text/html; charset=utf-8"),
    )


def _add_headers(response: Response) -> Response:
    if request.path == PREFIX or request.path.startswith(PREFIX + "/"):
        response.headers.update(_API_HEADERS)
    return response
