"""What phones ask a tracking host before they let an app open its links."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.factory import add_front, create_app
from app.services import build_services
from config.settings import load_settings

BRANDS = """
version: 1
brands:
  - id: alder
    name: Alder
    channels: [email]
    tracking_hosts: [click.alder.example, go.alder.example]
    app_links:
      apple: [{app_id: AB12CD34EF.jobs.alder.example, paths: ["/c/*"]}]
      android: [{package: example.alder.jobs, fingerprints: ["FINGERPRINT"]}]
  - id: birch
    name: Birch
    channels: [email]
    tracking_hosts: [t.birch.example]
""".replace("FINGERPRINT", ":".join(["AB"] * 32))
APPLE, ANDROID = "/.well-known/apple-app-site-association", "/.well-known/assetlinks.json"


@pytest.fixture
def client(environment: dict[str, str], tmp_path: Path) -> Iterator[FlaskClient]:
    (tmp_path / "brands.yaml").write_text(BRANDS, encoding="utf-8")
    settings = load_settings({**environment, "TELLTALE_BRANDS_FILE": str(tmp_path / "brands.yaml")})
    services = build_services(settings, role="web")
    app = create_app(services=services)
    add_front(app, services)
    yield app.test_client()
    services.close()


def _get(client: FlaskClient, path: str, host: str, method: str = "GET") -> Any:
    return client.open(path, method=method, headers={"Host": host})


@pytest.mark.parametrize("host", ["click.alder.example", "go.alder.example", "GO.Alder.example:8080"])
def test_every_host_of_the_brand_has_both_documents(client: FlaskClient, host: str) -> None:
    apple, android = _get(client, APPLE, host), _get(client, ANDROID, host)
    for answer in (apple, android):
        assert answer.status_code == 200
        assert answer.content_type == "application/json"
        assert answer.headers["Cache-Control"] == "public, max-age=3600"
        assert "Location" not in answer.headers
    (details,) = json.loads(apple.data)["applinks"]["details"]
    assert details["appIDs"] == ["AB12CD34EF.jobs.alder.example"]
    assert details["components"] == [{"/": "/c/*"}]
    (statement,) = json.loads(android.data)
    assert statement["target"]["package_name"] == "example.alder.jobs"


@pytest.mark.parametrize("path", [APPLE, ANDROID])
def test_head_is_answered_like_get_without_a_body(client: FlaskClient, path: str) -> None:
    answer = _get(client, path, "go.alder.example", "HEAD")
    assert (answer.status_code, answer.data) == (200, b"")
    assert int(answer.headers["Content-Length"]) == len(_get(client, path, "go.alder.example").data)


@pytest.mark.parametrize("host", ["t.birch.example", "unknown.example", "127.0.0.1"])
@pytest.mark.parametrize("path", [APPLE, ANDROID])
def test_a_host_without_apps_has_none(client: FlaskClient, path: str, host: str) -> None:
    for method in ("GET", "HEAD"):
        assert _get(client, path, host, method).status_code == 404


@pytest.mark.parametrize("path", [APPLE, ANDROID])
def test_nothing_can_be_sent_there(client: FlaskClient, path: str) -> None:
    answer = _get(client, path, "go.alder.example", "POST")
    assert answer.status_code == 405
    assert {"GET", "HEAD"} <= set(answer.headers["Allow"].split(", "))
    for other in (path + "/", path.upper()):
        assert _get(client, other, "go.alder.example").status_code == 404
