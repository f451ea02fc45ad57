"""Token keys on a real MongoDB: processes that share them, a restart without it, and `flask tokens …`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from pymongo.database import Database

from app.commands import create_app
from app.services import Role, Services, build_services
from app.tracking.tokens import TokenContent, TokenPurpose
from clients.python.telltale_tokens import Minter
from config.settings import load_settings

OPEN = TokenPurpose.OPEN
CONTENT = TokenContent(reference="m-1", address="ada@mail.example")
BRANDS = {
    "version": 1,
    "brands": [
        {"id": name, "name": name.title(), "channels": ["email"], "tracking_hosts": [f"t.{name}.example"]}
        for name in ("alder", "birch")
    ],
}

Start = Callable[..., Services]


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path, database: Database[dict[str, Any]]) -> Iterator[Start]:
    """Starts one more process of the deployment."""
    (tmp_path / "brands.yaml").write_text(json.dumps(BRANDS))
    made: list[Services] = []

    def build(role: Role = "web", **change: str) -> Services:
        settings = load_settings({**environment, "TELLTALE_BRANDS_FILE": str(tmp_path / "brands.yaml"), **change})
        made.append(build_services(settings, role=role))
        return made[-1]

    yield build
    for services in made:
        services.close()


@pytest.fixture
def run(start: Start) -> Callable[..., Result]:
    services = start("cli")
    app = create_app()
    app.extensions["telltale"] = services
    runner = app.test_cli_runner()
    return lambda *args: runner.invoke(args=["tokens", *args])


def opened(services: Services, token: str) -> TokenContent | None:
    """What the token says, at once or, on a machine that is too busy to answer in half a second, at the next try."""
    end = time.monotonic() + 20
    while (found := services.token_keys.open("alder", OPEN, token)) is None and time.monotonic() < end:
        time.sleep(0.1)
    return found


def test_a_token_opens_in_every_process_the_moment_it_is_made(start: Start) -> None:
    front, api, worker = start(), start(), start("worker")
    for services in (front, api, worker):
        assert services.token_keys.keys_of() == []
    (token,) = api.token_keys.seal_many("alder", OPEN, [CONTENT])
    assert opened(front, token) == CONTENT
    assert worker.token_keys.open_recorded([("alder", OPEN, token)]) == [CONTENT]
    api.token_keys.rotate("alder")
    (newer,) = api.token_keys.seal_many("alder", OPEN, [CONTENT])
    assert newer != token
    assert opened(front, newer) == CONTENT
    assert front.token_keys.open("alder", OPEN, token) == CONTENT


def test_a_front_that_starts_without_mongodb_opens_what_it_knew(start: Start, environment: dict[str, str]) -> None:
    first = start()
    (token,) = first.token_keys.seal_many("alder", OPEN, [CONTENT])
    first.close()
    restarted = start(TELLTALE_MONGO_URL="mongodb://127.0.0.1:1/")
    assert restarted.token_keys.open("alder", OPEN, token) == CONTENT
    assert restarted.token_keys.open("birch", OPEN, token) is None
    file = Path(environment["TELLTALE_STATE_DIR"]) / "keys" / "token_keys.json"
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_store_and_the_file_hold_only_wrapped_keys(
    start: Start, environment: dict[str, str], database: Database[dict[str, Any]]
) -> None:
    services = start()
    _, secret = services.token_keys.export("alder")
    rows = list(database["brand_keys"].find())
    assert [row["_id"] for row in rows] == ["alder:token:1"]
    assert secret not in rows[0]["wrapped"]
    for path in Path(environment["TELLTALE_STATE_DIR"]).rglob("*"):
        assert path.is_dir() or secret not in path.read_bytes()


def test_an_exported_key_mints_tokens_that_open(run: Callable[..., Result], start: Start) -> None:
    exported = run("key", "--brand", "alder")
    assert exported.exit_code == 0
    assert "secret" in exported.stderr
    key = exported.stdout.strip()
    assert run("key", "--brand", "alder").stdout.strip() == key
    link = Minter(key, "https://t.alder.example").open_url(reference="m-1", email="ada@mail.example")
    token = link.rpartition("/")[2].removesuffix(".gif")
    front = start()
    assert front.token_keys.open("alder", OPEN, token) == CONTENT
    assert run("rotate", "--brand", "alder").exit_code == 0
    assert run("key", "--brand", "alder").stdout.startswith("ttk_alder_2_")
    front.token_keys.refresh()
    assert front.token_keys.open("alder", OPEN, token) == CONTENT
    assert run("retire", "--brand", "alder", "--number", "1", "--yes").exit_code == 0
    front.token_keys.refresh()
    assert front.token_keys.open("alder", OPEN, token) is None


def test_keys_are_listed_without_themselves(run: Callable[..., Result]) -> None:
    assert run("list").stdout == ""
    key = run("key", "--brand", "alder").stdout.strip()
    run("rotate", "--brand", "alder")
    run("rotate", "--brand", "birch")
    rows = json.loads(run("list", "--json").stdout)
    assert [(row["brand_id"], row["number"], row["current"]) for row in rows] == [
        ("alder", 1, False),
        ("alder", 2, True),
        ("birch", 1, True),
    ]
    shown = run("list", "--brand", "alder").stdout
    assert len(shown.splitlines()) == 2
    assert key.rpartition("_")[2][:12] not in shown + run("list", "--json").stdout


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("key", "--brand", "nobody"), 2),
        (("key",), 2),
        (("rotate", "--brand", "nobody"), 2),
        (("retire", "--brand", "alder", "--number", "0", "--yes"), 2),
        (("retire", "--brand", "alder", "--number", "1", "--yes"), 1),
        (("retire", "--brand", "alder", "--number", "7", "--yes"), 1),
        (("retire", "--brand", "alder", "--number", "1"), 1),
        (("list", "--brand", "nobody"), 2),
    ],
)
def test_a_wrong_command_changes_nothing(run: Callable[..., Result], args: tuple[str, ...], code: int) -> None:
    run("key", "--brand", "alder")
    before = run("list", "--json").stdout
    assert run(*args).exit_code == code
    assert run("list", "--json").stdout == before
