"""Makes endpoints of what brands.yaml says of them, and follows their references."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.brands.endpoint_schema import (
    EVENT_QUEUE_ID,
    BatchingSchema,
    EndpointRules,
    EventQueueSchema,
)
from app.brands.faults import BrandsFileRefused, Fault
from app.brands.schema import BrandSchema
from app.brands.secrets import SecretReader
from app.lib.queue_url import check_queue_url
from app.models.delivery import Batching, Endpoint, Secret, Transport


def endpoints_of(name: str, schema: BrandSchema, secrets: SecretReader, rules: EndpointRules) -> tuple[Endpoint, ...]:
    """A brand's endpoints, its event queue last.

    Args:
        name: of the file, for what is wrong with it.

    Raises:
        BrandsFileRefused: with every reference that leads nowhere.
    """
    reader = _Reader(name, schema.id, secrets, rules)
    endpoints = [
        Endpoint(
            id=entry.id,
            brand_id=schema.id,
            url=entry.url or "",
            secrets=reader.keys(entry.secrets, f"endpoints[{index}].secrets"),
            events=entry.events,
            mode=entry.mode,
            deadline_seconds=entry.deadline_seconds,
            max_in_flight=entry.max_in_flight,
            transport=entry.transport,
            queue=reader.queue(entry.queue, f"endpoints[{index}].queue"),
            batching=_batching(entry.batching),
            headers=tuple(entry.headers.items()),
            strict=entry.strict,
            rate_per_second=entry.rate_per_second,
            delays=entry.delays,
            fallback_attempts=entry.fallback_attempts,
        )
        for index, entry in enumerate(schema.endpoints)
    ]
    if (entry := schema.event_queue) is not None:
        endpoints.append(_event_queue(schema.id, entry, reader))
    if reader.faults:
        raise BrandsFileRefused(reader.faults)
    return tuple(endpoints)


def references_of(endpoints: Sequence[object], event_queue: object, archive: object) -> Iterator[str]:
    """Every reference in raw entries of a file that may be faulty otherwise."""
    for entry in (*endpoints, event_queue, archive):
        if isinstance(entry, dict):
            secrets = entry.get("secrets")
            for reference in (
                *(secrets if isinstance(secrets, list) else ()),
                *(entry.get(key) for key in ("queue", "access_key_id", "secret_access_key")),
            ):
                if isinstance(reference, str) and reference.startswith(("env:", "file:")):
                    yield reference


def _event_queue(brand_id: str, entry: EventQueueSchema, reader: _Reader) -> Endpoint:
    return Endpoint(
        id=EVENT_QUEUE_ID,
        brand_id=brand_id,
        url="",
        secrets=reader.keys(entry.secrets, "event_queue.secrets"),
        events=entry.events,
        mode=entry.mode,
        transport=Transport.QUEUE,
        queue=reader.queue(entry.queue, "event_queue.queue"),
        batching=_batching(entry.batching),
    )


def _batching(schema: BatchingSchema | None) -> Batching | None:
    return None if schema is None else Batching(schema.max_events, schema.max_bytes, schema.max_wait_seconds)


class _Reader:
    """Follows references and collects what is wrong with them."""

    def __init__(self, name: str, brand_id: str, secrets: SecretReader, rules: EndpointRules) -> None:
        self._name = name
        self._brand_id = brand_id
        self._secrets = secrets
        self._rules = rules
        self.faults: list[Fault] = []

    def keys(self, references: Sequence[str], where: str) -> tuple[Secret, ...]:
        found: list[Secret] = []
        for place, reference in enumerate(references):
            try:
                key = self._secrets.webhook_key(reference)
            except ValueError as error:
                self._fault(str(error), f"{where}[{place}]")
            else:
                found += [] if key is None else [Secret(key)]
        return tuple(found)

    def queue(self, reference: str | None, where: str) -> str:
        try:
            text = None if reference is None else self._secrets.text(reference)
            if text is None:
                return ""
            return check_queue_url(text, allow_networks=self._rules.allow_networks, allow_plain=self._rules.allow_http)
        except ValueError as error:
            self._fault(str(error) if str(error).startswith(str(reference)) else f"{reference} {error}", where)
            return ""

    def _fault(self, text: str, where: str) -> None:
        self.faults.append(Fault(self._name, text, f'"{self._brand_id}"', where))
