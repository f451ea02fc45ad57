"""The OpenAPI 3.1 document of `/v1`, made from the table of operations and the schemas that validate them."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from app.web.api.fields import Schema
from app.web.api.operation import Operation
from app.web.api.schemas import Problem
from app.web.problems import CODES, CONTENT_TYPE

VERSION = "1.0.0"
"""Of the API: the first number changes only with the path's `/v1`."""
_REF = "#/components/schemas/{model}"
_JSON = "application/json"
_TAGS = {
    "messages": "Messages",
    "links": "Messages",
    "tokens": "Tokens",
    "events": "Events",
    "stats": "Figures",
    "replies": "Recipients",
    "recipients": "Recipients",
    "endpoints": "Webhooks",
    "deliveries": "Webhooks",
    "replays": "Webhooks",
}

Json = dict[str, Any]


def build(operations: Iterable[Operation], *, prefix: str) -> Json:
    """The document.

    Args:
        prefix: where the operations are mounted, `/v1`.
    """
    table = tuple(operations)
    refs, schemas = _schemas(table)
    paths: Json = {}
    for operation in table:
        paths.setdefault(prefix + operation.path, {})[operation.method.lower()] = _operation(operation, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Telltale",
            "version": VERSION,
            "description": "Tells brands what happened to the email and SMS they sent.",
        },
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}],
        "tags": [{"name": name} for name in dict.fromkeys(_TAGS.values())],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "description": "`tt_…`, made by `flask keys create`."}
            },
            "responses": {"Problem": _problem(refs)},
        },
    }


def _schemas(table: tuple[Operation, ...]) -> tuple[dict[type[BaseModel], Json], Json]:
    used: dict[type[BaseModel], JsonSchemaMode] = {}
    for operation in table:
        if operation.request is not None:
            used[operation.request] = "validation"
        if operation.response is not None:
            used[operation.response] = "serialization"
    used[Problem] = "serialization"
    found, document = models_json_schema(list(used.items()), ref_template=_REF)
    return {model: found[model, mode] for model, mode in used.items()}, document["$defs"]


def _operation(operation: Operation, refs: dict[type[BaseModel], Json]) -> Json:
    described: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"{operation.description}\n\nScope: `{operation.scope.value}`.".strip(),
        "tags": [_TAGS[operation.path.split("/")[1]]],
        "responses": _responses(operation, refs),
    }
    if parameters := _parameters(operation):
        described["parameters"] = parameters
    if operation.request is not None:
        described["requestBody"] = {"required": True, "content": {_JSON: {"schema": refs[operation.request]}}}
    return described


def _parameters(operation: Operation) -> list[Json]:
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    found: list[Json] = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    if operation.query is not None:
        found += _query_parameters(operation.query)
    if operation.mutating:
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Any unique text; a repeated call with it gives the same answer for 24 hours.",
                "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
            }
        )
    return found


def _query_parameters(query: type[Schema]) -> list[Json]:
    found: list[Json] = []
    for name, about in query.model_json_schema(ref_template=_REF)["properties"].items():
        # Absent is the way to say null in a query.
        options = [option for option in about.get("anyOf", ()) if option != {"type": "null"}]
        outside = {"anyOf", "title", "description"}
        schema = {key: value for key, value in about.items() if key not in outside and value is not None}
        parameter: Json = {"name": name, "in": "query", "required": False, "schema": {**schema, **dict(*options)}}
        if "description" in about:
            parameter["description"] = about["description"]
        found.append(parameter)
    return found


def _responses(operation: Operation, refs: dict[type[BaseModel], Json]) -> Json:
    success: Json = {"description": HTTPStatus(operation.status).phrase}
    if operation.response is not None:
        success["content"] = {_JSON: {"schema": refs[operation.response]}}
    if operation.mutating:
        replayed = {"description": "`true` when the call was made before with this key.", "schema": {"type": "string"}}
        success["headers"] = {"Idempotent-Replayed": replayed}
    problem = {"$ref": "#/components/responses/Problem"}
    return {str(operation.status.value): success} | {str(status): problem for status in _problem_statuses(operation)}


def _problem_statuses(operation: Operation) -> list[int]:
    found = {400, 401, 403, 500, 503}
    if "{" in operation.path or operation.may_miss:
        found.add(404)
    if operation.mutating:
        found |= {409, 413, 422}
    if operation.request is not None:
        found.add(415)
    return sorted(found)


def _problem(refs: dict[type[BaseModel], Json]) -> Json:
    codes = "\n".join(f"- `{code}`: {meaning}" for code, meaning in CODES.items())
    return {
        "description": f"What is wrong (RFC 9457). Codes:\n\n{codes}",
        "content": {CONTENT_TYPE: {"schema": refs[Problem]}},
    }
