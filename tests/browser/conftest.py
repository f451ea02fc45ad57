"""Registers newsletters through the API on real stores and shows them in Chromium; one of each for all tests here."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.factory import add_front, create_app
from app.models.api_key import Scope
from app.services import build_services
from app.storage.indexes import create_indexes
from config.settings import load_settings
from local.servers import Server
from tests.browser.chromium import Reader, chromium
from tests.conftest import CODE_KEY, MASTER_KEYS

TRACKING_HOST = "http://t.newsletters.example"
_BRAND = {
    "id": "newsletters",
    "name": "Newsletters",
    "channels": ["email"],
    "tracking_hosts": ["t.newsletters.example"],
    "bots": {"trap_link": True},
}
_DESKTOP: dict[str, Any] = {"viewport": {"width": 1024, "height": 768}, "color_scheme": "light"}
_PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "color_scheme": "dark",
    "is_mobile": True,
    "has_touch": True,
}


class Platform:
    """A brand's platform and its recipients' clicks, both spoken to through the WSGI application."""

    def __init__(self, client: FlaskClient, key: str) -> None:
        self._client = client
        self._key = key

    def register(self, html: str) -> dict[str, Any]:
        """One message with this content and both pixels: what `POST /v1/messages` gives back."""
        response = self._client.post(
            "/v1/messages",
            headers={"Authorization": f"Bearer {self._key}"},
            json={
                "channel": "email",
                "content": {"html": html},
                "pixel": "both",
                "recipients": [{"address": f"{secrets.token_hex(4)}@people.example"}],
            },
        )
        assert response.status_code == 201, response.get_data(as_text=True)
        message: dict[str, Any] = response.get_json()["messages"][0]
        return message

    def get(self, url: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a URL on the tracking host."""
        response = self._client.get(url.removeprefix(TRACKING_HOST), base_url=TRACKING_HOST)
        return response.status_code, dict(response.headers), response.get_data()


@pytest.fixture(scope="module")
def platform(mongod: Server, valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("browser")
    brands = folder / "brands.yaml"
    brands.write_text(json.dumps({"version": 1, "brands": [_BRAND]}))
    settings = load_settings(
        {
            "TELLTALE_STATE_DIR": str(folder / "state"),
            "TELLTALE_MONGO_URL": mongod.url,
            "TELLTALE_MONGO_DATABASE": f"test_{secrets.token_hex(6)}",
            "TELLTALE_REDIS_URL": valkey.url,
            "TELLTALE_CODE_KEY": CODE_KEY,
            "TELLTALE_MASTER_KEYS": MASTER_KEYS,
            "TELLTALE_PUBLIC_SCHEME": "http",
            "TELLTALE_BRANDS_FILE": str(brands),
            "TELLTALE_JOURNAL_LOW_BYTES": "1048576",
        }
    )
    services = build_services(settings, role="web")
    create_indexes(services.database)
    key = services.api_keys.create("newsletters", frozenset(Scope), "test")[1]
    app = create_app(services=services)
    add_front(app, services)
    yield Platform(app.test_client(), key)
    services.database.client.drop_database(services.database.name)
    services.redis.flushall()
    services.close()


@pytest.fixture(scope="module")
def readers(platform: Platform) -> Iterator[dict[str, Reader]]:
    """A desktop in light mode and a phone in dark mode."""

    def answer(url: str) -> tuple[int, str, bytes]:
        status, headers, body = platform.get(url)
        return status, headers["Content-Type"], body

    with chromium() as new_context:
        yield {
            "desktop": Reader(new_context(**_DESKTOP), TRACKING_HOST, answer),
            "phone": Reader(new_context(**_PHONE), TRACKING_HOST, answer),
        }
