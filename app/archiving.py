"""Joins the archive with what it needs of storage, webhooks and the API: made for one run, in one thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial

from app.archive.bucket import Bucket
from app.archive.due import due_hours
from app.archive.restore import Restorer
from app.archive.verify import Verifier
from app.archive.write import HourWriter
from app.brands import Brand
from app.event_json import events_json
from app.lib import clock
from app.models.archive import ArchivePlace
from app.models.event import PUBLIC_KINDS, EventKind
from app.services import Services
from app.storage.archive_events import ArchiveEvents
from app.storage.archive_state import ArchiveState
from app.webhooks.address_guard import AddressGuard


class Archiving:
    """The archive of one brand.

    Args:
        place: the brand's own.
    """

    def __init__(self, services: Services, brand: Brand, place: ArchivePlace) -> None:
        self._services = services
        self._brand = brand
        self._place = place
        self.events = ArchiveEvents(services.database)
        self.state = ArchiveState(services.database)
        self._bucket = Bucket(place, AddressGuard(services.settings.webhook_allow_networks))

    def due(self) -> Iterator[int]:
        """Settled hours that are not archived, oldest first."""
        return due_hours(self._brand.id, self.events, self.state, clock.now_ms())

    def writer(self) -> HourWriter:
        return HourWriter(
            self._brand.id,
            self._place,
            bucket=self._bucket,
            events=self.events,
            state=self.state,
            show=partial(events_json, services=self._services),
            codes=self._services.codes,
        )

    def verifier(self) -> Verifier:
        return Verifier(
            self._brand.id,
            self._place,
            bucket=self._bucket,
            events=self.events,
            state=self.state,
            codes=self._services.codes,
            kept_since=self._kept_since(),
        )

    def restorer(self) -> Restorer:
        return Restorer(
            self._brand.id,
            self._place,
            bucket=self._bucket,
            events=self.events,
            erasures=self._services.erasures,
            codes=self._services.codes,
        )

    def _kept_since(self) -> Mapping[EventKind, int]:
        now = clock.now()
        kept = {kind: now - timedelta(days=days) for kind, days in self._brand.retention.events}
        return {kind: int(since.timestamp() * 1000) for kind, since in kept.items() if kind in PUBLIC_KINDS}
