"""Somebody who follows links: through the real front, with the journal and ingest behind it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.test import TestResponse

from app.factory import add_front
from app.journal.segments import list_segments
from app.lib import clock
from app.models.block import Block
from app.services import Services

# Years from now too, or it would be a stale browser.
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/199.0.0.0 Safari/537.36"


class Visitor:
    def __init__(self, flask_app: Flask, services: Services) -> None:
        add_front(flask_app, services)
        self._app = flask_app
        self._services = services
        self._batches = 0
        self._read = 0

    def get(self, url: str, method: str = "GET", **more: Any) -> TestResponse:
        parts = urlsplit(url)
        # A client of its own: the session of another would follow cookies, and `Location` has to stay as it was sent.
        return self._app.test_client().open(
            parts.path,
            base_url=f"{parts.scheme}://{parts.netloc}",
            method=method,
            headers={"User-Agent": CHROME, "Accept-Language": "en-GB,en;q=0.9"},
            **more,
        )

    def location(self, url: str) -> str | None:
        """Where a link leads: the header as it is."""
        response = self.get(url)
        assert response.status_code == (302 if "Location" in response.headers else 410), response.status
        return response.headers.get("Location")

    def ingest(self) -> Any:
        """What has happened since the last time becomes events, which `GET /v1/events` shows at once."""
        lines = b"".join(path.read_bytes() for path in list_segments(self._services.settings.journal_dir))
        self._batches += 1
        done = self._services.ingest.run(f"batch-{self._batches}", lines[self._read :])
        self._read = len(lines)
        self._services.database["events"].update_many({}, {"$inc": {"rt": -60_000}})
        return done

    def webhooks(self, endpoint_id: str, brand_id: str = "alder") -> list[dict[str, Any]]:
        """The bodies that wait for an endpoint."""
        claimed = self._services.deliveries.claim(
            brand_id, endpoint_id, now=clock.now(), lease_seconds=45, limit=100, token="t"
        )
        return [json.loads(one.body) for one in claimed]


def block_of(services: Services, message_id: str) -> Block:
    """The block as it is stored, opened with the brand's key."""
    number = services.codes.message_number(message_id)
    assert number is not None
    block = services.blocks.find(number)
    assert block is not None
    return block


def change_brand(services: Services, text: str, brand_id: str = "alder") -> None:
    """brands.yaml says this of a brand, too, from now on."""
    file = services.settings.brands_file
    before = file.read_text(encoding="utf-8")
    assert f"  - id: {brand_id}\n" in before
    file.write_text(before.replace(f"  - id: {brand_id}\n", f"  - id: {brand_id}\n    {text}\n"), encoding="utf-8")
    services.brands._next_check = 0.0  # now, instead of within a second
    assert services.brands.by_id(brand_id) is not None
    assert services.brands.last_error is None
