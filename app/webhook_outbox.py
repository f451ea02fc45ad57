"""Joins ingest with webhooks: plans the deliveries of events and stores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from pymongo.database import Database

from app.brands import BrandRegistry
from app.lib import clock
from app.models.block import Block
from app.models.delivery import Endpoint
from app.models.event import PUBLIC_KINDS, Event
from app.models.recipient_key import HeldKeys
from app.privacy.recipients import Vault
from app.storage.client import Document
from app.storage.deliveries import Deliveries
from app.storage.messages import Messages
from app.tracking.codes import Codes
from app.webhooks.routing import plan_deliveries, wants


class Needs(Protocol):
    """What it takes of `app.services.Services`."""

    @property
    def brands(self) -> BrandRegistry: ...
    @property
    def bulk_database(self) -> Database[Document]: ...
    @property
    def codes(self) -> Codes: ...
    @property
    def messages(self) -> Messages: ...
    @property
    def vault(self) -> Vault: ...
    def deliveries_kept_for(self, brand_id: str) -> timedelta: ...
    def endpoints_of(self, brand_ids: set[str]) -> dict[str, list[Endpoint]]: ...


class WebhookOutbox:
    """The port through which ingest tells: answers which endpoints have work now."""

    def __init__(self, services: Needs) -> None:
        self._services = services
        self._deliveries = Deliveries(services.bulk_database, services.vault, services.deliveries_kept_for)

    def write(self, events: Sequence[Event], blocks: Mapping[int, Block]) -> set[tuple[str, str]]:
        services = self._services
        events = [event for event in events if not event.implied]
        endpoints = services.endpoints_of({event.brand_id for event in events})
        kinds = {
            (brand_id, kind)
            for brand_id, known in endpoints.items()
            for kind in PUBLIC_KINDS
            if any(wants(endpoint, kind) for endpoint in known)
        }
        wanted = [event for event in events if (event.brand_id, event.kind) in kinds]
        if not wanted:
            return set()
        numbers = list({event.message for event in wanted})
        held = HeldKeys()
        deliveries = plan_deliveries(
            wanted,
            messages=services.messages.get_many(numbers, held),
            blocks=blocks,
            endpoints=endpoints,
            message_ids=dict(zip(numbers, services.codes.message_ids(numbers), strict=True)),
            now=clock.now(),
            unsubscribe_scopes={
                brand_id: brand.unsubscribe.scope
                for brand_id in endpoints
                if (brand := services.brands.by_id(brand_id))
            },
        )
        self._deliveries.insert_many(deliveries, held)
        return {(delivery.brand_id, delivery.endpoint_id) for delivery in deliveries}
