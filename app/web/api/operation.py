"""What a call under `/v1` is, what its handler gets and gives. `dispatch` runs it, `app.web.openapi` describes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from app.brands.brand import Brand
from app.models.api_key import Scope
from app.web.api.fields import Answer, Schema

if TYPE_CHECKING:
    from app.services import Services

S = TypeVar("S", bound=Schema)

MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated, validated call."""

    services: Services
    brand: Brand
    method: str
    path: str
    """As requested; part of what an idempotency key stands for."""
    arguments: Mapping[str, str]
    """The variable parts of the path."""
    raw: bytes = field(repr=False)
    body: Schema | None = field(default=None, repr=False)
    query: Schema | None = field(default=None, repr=False)
    idempotency_key: str | None = field(default=None, repr=False)

    def body_as(self, schema: type[S]) -> S:
        """The body, which `dispatch` has validated with this schema."""
        return _narrow(self.body, schema)

    def query_as(self, schema: type[S]) -> S:
        return _narrow(self.query, schema)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers; `body` None means no content."""

    body: Mapping[str, Any] | None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path under `/v1`."""

    name: str
    """The OpenAPI operation id."""
    method: str
    path: str
    """As in OpenAPI: `/messages/{message_id}`."""
    summary: str
    scope: Scope
    handler: Callable[[Call], Reply]
    response: type[Answer] | None
    status: HTTPStatus = HTTPStatus.OK
    description: str = ""
    request: type[Schema] | None = None
    query: type[Schema] | None = None
    may_miss: bool = False
    """The body names something that may not be there: 404."""

    @property
    def mutating(self) -> bool:
        return self.method in MUTATING


def _narrow(value: Schema | None, schema: type[S]) -> S:
    if not isinstance(value, schema):
        raise TypeError(f"the operation's table entry does not say {schema.__name__}")
    return value
