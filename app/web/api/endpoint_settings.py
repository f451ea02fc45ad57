"""From what an owner says about an endpoint to an `Endpoint`, and what the API shows of one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from app.brands.brand import Brand
from app.errors import Conflict, InvalidRequest, NotFound
from app.lib import clock
from app.lib.header_rules import check_headers
from app.lib.http_url import check_endpoint_url
from app.lib.queue_url import check_queue_url
from app.lib.retry_delays import check_delays
from app.models.delivery import Batching, Endpoint, PayloadMode, Secret, Transport
from app.services import Services
from app.storage.endpoint_documents import StoredEndpoint
from app.web.api.operation import Call
from app.web.api.webhook_schemas import EndpointSettings
from app.webhooks.endpoint_secrets import active

_ENDPOINT_ID = re.compile(r"ep_[0-9A-Z]{26}", re.ASCII)
_CREDENTIALS = re.compile(r"//[^/@]*@")


def apply(stored: StoredEndpoint, body: EndpointSettings, names: set[str], services: Services) -> StoredEndpoint:
    """An endpoint as its owner wants it.

    Args:
        names: the fields of the body that say something.

    Raises:
        InvalidRequest: (422) a field, or how they stand together; `errors` says which.
    """
    description = body.description if "description" in names else stored.description
    changes = {name: _READ[name](body, services) for name in names if name in _READ}
    endpoint = replace(stored.endpoint, **changes)
    if endpoint.transport is not Transport.QUEUE and not endpoint.url:
        raise refused("/url", "is needed for this transport")
    if endpoint.transport is not Transport.HTTP and not endpoint.queue:
        raise refused("/queue", "is needed for this transport")
    return replace(stored, endpoint=endpoint, description=description)


def refused(pointer: str, detail: str, *, code: str = "invalid_request") -> InvalidRequest:
    """A field that its schema lets through."""
    errors = [{"pointer": pointer, "detail": detail}]
    about = "The endpoint's URL cannot be used." if code == "invalid_endpoint_url" else "A field cannot be used."
    return InvalidRequest(about, code=code, errors=errors, status=422)


def _url(body: EndpointSettings, services: Services) -> str:
    if body.url is None:
        return ""
    settings = services.settings
    try:
        return check_endpoint_url(
            body.url,
            allow_http=settings.webhook_allow_http,
            allow_networks=settings.webhook_allow_networks,
            is_ours=lambda host: services.brands.by_host(host) is not None,
        )
    except ValueError as error:
        # `from None`: the cause may quote the URL, which may carry a token.
        raise refused("/url", str(error), code="invalid_endpoint_url") from None


def _queue(body: EndpointSettings, services: Services) -> str:
    if body.queue is None:
        return ""
    settings = services.settings
    try:
        return check_queue_url(
            body.queue, allow_networks=settings.webhook_allow_networks, allow_plain=settings.webhook_allow_http
        )
    except ValueError as error:
        raise refused("/queue", str(error)) from None


def _headers(body: EndpointSettings, _: Services) -> tuple[tuple[str, str], ...]:
    try:
        return check_headers(body.headers.items())
    except ValueError as error:
        raise refused("/headers", str(error)) from None


def _delays(body: EndpointSettings, _: Services) -> tuple[float, ...]:
    try:
        return check_delays(body.delays)
    except ValueError as error:
        raise refused("/delays", str(error)) from None


def _batching(body: EndpointSettings, _: Services) -> Batching | None:
    wanted = body.batching
    return None if wanted is None else Batching(wanted.max_events, wanted.max_bytes, wanted.max_wait_seconds)


_READ: dict[str, Callable[[EndpointSettings, Services], Any]] = {
    "url": _url,
    "queue": _queue,
    "headers": _headers,
    "delays": _delays,
    "batching": _batching,
    "events": lambda body, _: frozenset(body.events),
    "mode": lambda body, _: PayloadMode(body.mode),
    "transport": lambda body, _: Transport(body.transport),
    "strict": lambda body, _: body.strict,
    "rate_per_second": lambda body, _: body.rate_per_second,
    "deadline_seconds": lambda body, _: body.deadline_seconds,
    "max_in_flight": lambda body, _: body.max_in_flight,
    "fallback_attempts": lambda body, _: body.fallback_attempts,
}


def stored_endpoint(call: Call) -> StoredEndpoint:
    """The endpoint of the path, one that was made through the API.

    Raises:
        NotFound: there is none; Conflict: it is one of brands.yaml.
    """
    endpoint_id = call.arguments["endpoint_id"]
    # What is spelt otherwise never gets into a query, which a slow store would log.
    found = call.services.endpoints.get(call.brand.id, endpoint_id) if _ENDPOINT_ID.fullmatch(endpoint_id) else None
    if found is None:
        if file_endpoint(call.brand, endpoint_id) is not None:
            raise Conflict("This endpoint is the operator's, in the brands file.", code="endpoint_in_file")
        raise NotFound("There is no such endpoint.")
    return found


def find_endpoint(call: Call) -> Endpoint:
    """The endpoint of the path, of brands.yaml or of the API.

    Raises:
        NotFound: there is none.
    """
    return file_endpoint(call.brand, call.arguments["endpoint_id"]) or stored_endpoint(call).endpoint


def check_endpoint_id(call: Call, endpoint_id: str) -> None:
    """Raises:
    NotFound: the brand has no such endpoint.
    """
    known = file_endpoint(call.brand, endpoint_id) is not None
    if not known and call.services.endpoints.get(call.brand.id, endpoint_id) is None:
        raise NotFound("There is no such endpoint.")


def file_endpoint(brand: Brand, endpoint_id: str) -> Endpoint | None:
    """A brand's endpoint of brands.yaml."""
    return next((endpoint for endpoint in brand.endpoints if endpoint.id == endpoint_id), None)


def endpoint_json(endpoint: Endpoint, now: datetime) -> dict[str, Any]:
    """What API and file have in common."""
    batching = endpoint.batching
    shown: dict[str, Any] = {
        "id": endpoint.id,
        "events": sorted(endpoint.events),
        "mode": endpoint.mode.value,
        "source": "file",
        "transport": endpoint.transport.value,
        "header_names": [name for name, _ in endpoint.headers],
        "strict": endpoint.strict,
        "deadline_seconds": endpoint.deadline_seconds,
        "max_in_flight": endpoint.max_in_flight,
        "delays": list(endpoint.delays),
        "fallback_attempts": endpoint.fallback_attempts,
        "description": "",
        "secrets": secrets_json(endpoint, now),
        "state": "active",
    }
    if endpoint.url:
        shown["url"] = endpoint.url
    if endpoint.queue:
        shown["queue"] = _CREDENTIALS.sub("//", endpoint.queue, count=1)
    if batching is not None:
        shown["batching"] = {
            "max_events": batching.max_events,
            "max_bytes": batching.max_bytes,
            "max_wait_seconds": batching.max_wait_seconds,
        }
    if endpoint.rate_per_second is not None:
        shown["rate_per_second"] = endpoint.rate_per_second
    return shown


def stored_json(stored: StoredEndpoint, now: datetime) -> dict[str, Any]:
    """An endpoint that was made through the API."""
    more = {"source": "api", "description": stored.description, "created_at": clock.rfc3339(stored.created_at)}
    return endpoint_json(stored.endpoint, now) | more


def secrets_json(endpoint: Endpoint, now: datetime) -> list[dict[str, str]]:
    """Those that sign now. The secrets of brands.yaml have no id and are not listed."""
    return [_secret_json(one) for one in active(endpoint, now) if one.id]


def _secret_json(secret: Secret) -> dict[str, str]:
    times = {"created_at": secret.created_at, "expires_at": secret.expires_at}
    return {"id": secret.id} | {name: clock.rfc3339(at) for name, at in times.items() if at is not None}
