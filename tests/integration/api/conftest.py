"""The API on real stores, spoken to through Flask's test client; each test has its own database and brands file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pymongo.database import Database
from werkzeug.test import TestResponse

from app.factory import create_app
from app.models.api_key import Scope
from app.services import Services, build_services
from config.settings import load_settings
from tests.integration.api.visitor import Visitor

BRANDS = """
version: 1
brands:
  - id: alder
    name: Alder Shop
    channels: [email, sms]
    tracking_hosts: [click.alder.example, go.alder.example]
    sms_host: go.alder.example
    destinations: [alder.example]
    pixel: {header: false, footer: true}
    unsubscribe: {mailto: leave@alder.example, scope: list}
  - id: birch
    name: Birch News
    channels: [email]
    tracking_hosts: [t.birch.example]
  - id: cedar
    name: Cedar, which tracks nothing
    channels: [email, sms]
    tracking_hosts: [t.cedar.example]
    tracking: {opens: false, clicks: false}
"""


@pytest.fixture
def services(environment: dict[str, str], tmp_path: Path, database: Database[dict[str, Any]]) -> Iterator[Services]:
    brands = tmp_path / "brands.yaml"
    brands.write_text(BRANDS, encoding="utf-8")
    found = build_services(load_settings({**environment, "TELLTALE_BRANDS_FILE": str(brands)}), role="web")
    yield found
    found.close()


@pytest.fixture
def flask_app(services: Services) -> Flask:
    return create_app(services=services)


@pytest.fixture
def client(flask_app: Flask) -> FlaskClient:
    return flask_app.test_client()


@pytest.fixture
def visitor(flask_app: Flask, services: Services) -> Visitor:
    """Somebody who follows links."""
    return Visitor(flask_app, services)


@pytest.fixture
def key_of(services: Services) -> Callable[..., str]:
    """Makes an API key: `key_of("alder", Scope.EVENTS_READ)`; all scopes when none is named."""

    def make(brand_id: str, *scopes: Scope) -> str:
        return services.api_keys.create(brand_id, frozenset(scopes or Scope), "test")[1]

    return make


@pytest.fixture
def call(client: FlaskClient, key_of: Callable[..., str]) -> Callable[..., TestResponse]:
    """Calls the API: `call("POST", "/v1/messages", {…}, brand="birch", idempotency="k")`."""
    keys: dict[str, str] = {}

    def send(
        method: str,
        path: str,
        body: object = None,
        *,
        brand: str = "alder",
        idempotency: str | None = None,
        **more: Any,
    ) -> TestResponse:
        if brand not in keys:
            keys[brand] = key_of(brand)
        headers = {"Authorization": f"Bearer {keys[brand]}", **more.pop("headers", {})}
        if idempotency is not None:
            headers["Idempotency-Key"] = idempotency
        if body is not None:
            more["json"] = body
        return client.open(path, method=method, headers=headers, **more)

    return send
