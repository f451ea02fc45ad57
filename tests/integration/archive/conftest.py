"""Buckets on a local S3 server, and the parts of an archive on real stores."""

from __future__ import annotations

import ipaddress
import itertools
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from pymongo.database import Database

from app.archive.bucket import Bucket
from app.archive.restore import Restorer
from app.archive.verify import Verifier
from app.archive.write import HourWriter
from app.models.archive import ArchivePlace
from app.models.event import PUBLIC_KINDS, Event, EventKind
from app.storage.archive_events import ArchiveEvents
from app.storage.archive_state import ArchiveState
from app.storage.erasures import Erasures
from app.storage.events import EventStore
from app.webhooks.address_guard import AddressGuard
from tests.unit.archive.archived_events import CODES, shown

GUARD = AddressGuard([ipaddress.ip_network("127.0.0.0/8")])
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def store_url() -> Iterator[str]:
    """A store that speaks S3."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}/"
    server.stop()


@pytest.fixture
def place(store_url: str) -> ArchivePlace:
    """A new bucket."""
    name = f"archive-{next(_numbers)}"
    client = boto3.client(
        "s3", endpoint_url=store_url, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
    )
    client.create_bucket(Bucket=name)
    client.close()
    return ArchivePlace(name, "us-east-1", "telltale/", store_url, "AKIDALDER", "hush-hush")


@dataclass
class Archive:
    """Brand `alder`'s."""

    place: ArchivePlace
    bucket: Bucket
    events: ArchiveEvents
    state: ArchiveState
    database: Database[dict[str, Any]]

    def writer(self, **other: Any) -> HourWriter:
        parts: dict[str, Any] = {"bucket": self.bucket, "events": self.events, "state": self.state}
        return HourWriter(
            "alder", self.place, show=lambda events: [shown(event) for event in events], codes=CODES, **parts | other
        )

    def faults(self, hour: int, *, quick: bool = False, kept_since: Mapping[EventKind, int] | None = None) -> list[str]:
        verifier = Verifier(
            "alder",
            self.place,
            bucket=self.bucket,
            events=self.events,
            state=self.state,
            codes=CODES,
            kept_since=dict.fromkeys(PUBLIC_KINDS, 0) if kept_since is None else kept_since,
        )
        return list(verifier.verify(hour, quick=quick))

    def restorer(self) -> Restorer:
        return Restorer(
            "alder",
            self.place,
            bucket=self.bucket,
            events=self.events,
            erasures=Erasures(self.database),
            codes=CODES,
        )

    def objects(self) -> dict[str, bytes]:
        """What is in the bucket."""
        return {key: self.bucket.get(key) or b"" for key, _ in self.bucket.sizes("")}

    def store(self, *events: Event) -> list[Event]:
        return EventStore(self.database).insert(events, "batch")

    def stored(self) -> list[dict[str, Any]]:
        """Events as they are stored, without the name of their batch."""
        return list(self.database["events"].find({}, {"bt": 0}).sort("_id", 1))

    def claims_run_out(self) -> None:
        """As if the time of every claim were over."""
        self.database["archives"].update_many({}, {"$unset": {"until": ""}})


@pytest.fixture
def archive(place: ArchivePlace, database: Database[dict[str, Any]]) -> Archive:
    return Archive(place, Bucket(place, GUARD), ArchiveEvents(database), ArchiveState(database), database)
