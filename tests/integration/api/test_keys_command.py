"""`flask keys …`, on a real store."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from app.commands.keys import group
from app.services import Services


@pytest.fixture
def run(flask_app: Flask) -> Any:
    flask_app.cli.add_command(group)
    runner = flask_app.test_cli_runner()

    def run(*args: str) -> Result:
        return runner.invoke(args=["keys", *args])

    return run


def test_a_key_is_made_works_is_listed_without_its_secret_and_is_revoked(
    run: Any, client: FlaskClient, services: Services
) -> None:
    made = run("create", "--brand", "alder", "--scopes", "events:read,messages:write", "--name", "shop", "--json")
    assert made.exit_code == 0
    row = json.loads(made.stdout)
    assert set(row) == {"id", "key", "brand_id", "scopes"}
    assert row["scopes"] == ["messages:write", "events:read"]
    assert client.get("/v1/events", headers={"Authorization": f"Bearer {row['key']}"}).status_code == 200
    for listed in (run("list"), run("list", "--json"), run("list", "--brand", "alder")):
        assert row["id"] in listed.stdout
        assert row["key"].rsplit("_", 1)[1] not in listed.stdout
    assert run("list", "--brand", "birch").stdout == ""
    assert run("revoke", row["id"]).exit_code == 0
    assert run("revoke", row["id"]).exit_code == 0
    assert "revoked" in run("list").stdout
    assert services.api_keys.of_brand("alder")[0].revoked_at is not None
    assert run("revoke", "aaaaaaaaaaaa").exit_code == 1


def test_only_a_hash_of_the_secret_is_stored(run: Any, services: Services) -> None:
    key = json.loads(run("create", "--brand", "alder", "--name", "x", "--json").stdout)["key"]
    assert key.rsplit("_", 1)[1] not in repr(list(services.database["api_keys"].find()))


def test_every_brand_gets_a_key_at_once(run: Any) -> None:
    rows = json.loads(run("create", "--all-brands", "--scopes", "all", "--name", "local", "--json").stdout)
    assert [row["brand_id"] for row in rows] == ["alder", "birch", "cedar"]
    assert len({row["key"] for row in rows}) == 3


def test_the_key_is_printed_for_people_too(run: Any) -> None:
    made = run("create", "--brand", "alder", "--name", "x")
    assert made.stdout.startswith("alder  tt_")


@pytest.mark.parametrize(
    "args",
    [
        ("--name", "x"),
        ("--brand", "alder", "--all-brands", "--name", "x"),
        ("--brand", "nobody", "--name", "x"),
        ("--brand", "alder"),
        ("--brand", "alder", "--name", ""),
        ("--brand", "alder", "--name", "a\nb"),
        ("--brand", "alder", "--name", "x", "--scopes", "everything"),
    ],
)
def test_a_wrong_command_makes_no_key(run: Any, services: Services, args: tuple[str, ...]) -> None:
    assert run("create", *args).exit_code == 2
    assert services.api_keys.of_brand() == []
