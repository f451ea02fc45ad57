"""Flower as it is started in production: never without a login, and for looking only."""

from __future__ import annotations

import base64
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from local.ports import free_port
from tests.integration.ops.conftest import Celery, eventually

CONF = "--conf=config/flowerconfig.py"


def _status(url: str, login: str | None = None, method: str = "GET") -> int | None:
    request = urllib.request.Request(url, method=method)
    if login is not None:
        request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


@pytest.mark.slow
def test_flower_asks_everybody_for_the_login_and_changes_nothing(
    own_environment: dict[str, str], start_celery: Callable[..., Celery]
) -> None:
    port = free_port()
    environment = {**own_environment, "FLOWER_BASIC_AUTH": "operator:geheim", "FLOWER_PORT": str(port)}
    flower = start_celery("flower", CONF, environment=environment)
    url = f"http://127.0.0.1:{port}"
    assert eventually(lambda: _status(f"{url}/workers") is not None), flower.output()
    for page in ("/", "/workers", "/tasks", "/broker", "/api/workers"):
        assert _status(url + page) == 401, page
        assert _status(url + page, "operator:wrong") == 401, page
    assert _status(f"{url}/workers", "operator:geheim") == 200
    assert _status(f"{url}/api/worker/shutdown/any", "operator:geheim", "POST") == 403
    assert "geheim" not in flower.output()


def test_flower_without_a_login_does_not_start(
    own_environment: dict[str, str], start_celery: Callable[..., Celery]
) -> None:
    flower = start_celery("flower", CONF, environment={**own_environment, "FLOWER_PORT": str(free_port())})
    assert eventually(lambda: flower.process.poll() is not None), flower.output()
    assert flower.process.returncode != 0
    assert "FLOWER_BASIC_AUTH" in flower.output()
