"""`flask keys status|rotate|rewrap|retire`, on a real store."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from app.commands.encryption_keys import group
from app.lib import clock
from app.models.block import Channel
from app.models.brand_key import KeyKind
from app.models.message import Message, Recipient
from app.privacy.rotation import SETTLED_AFTER
from app.services import Services
from app.storage.brand_keys import BrandKeys


@pytest.fixture
def run(flask_app: Flask) -> Any:
    flask_app.cli.add_command(group)
    runner = flask_app.test_cli_runner()

    def run(*args: str, **options: Any) -> Result:
        return runner.invoke(args=["keys", *args], **options)

    return run


def fill(services: Services, count: int = 3, first: int = 0) -> None:
    services.messages.insert_many(
        [
            Message(
                number,
                "alder",
                Channel.EMAIL,
                Recipient(address := f"p{number}@people.example"),
                services.keyring.address_hash("alder", Channel.EMAIL, address),
                clock.now(),
            )
            for number in range(first, first + count)
        ]
    )


def settle(services: Services) -> None:
    """As if the newest key were made a while ago."""
    made_at = clock.now() - SETTLED_AFTER - timedelta(seconds=1)
    services.database["brand_keys"].update_many({}, {"$set": {"created_at": made_at}})


def uses(run: Any, *args: str) -> dict[tuple[str, int], dict[str, Any]]:
    return {(row["kind"], row["number"]): row for row in json.loads(run("status", "--json", *args).stdout)}


def test_status_says_which_keys_are_in_use_and_who_needs_the_old_one(run: Any, services: Services) -> None:
    fill(services)
    assert run("rotate", "--brand", "alder").exit_code == 0
    fill(services, 2, first=10)
    services.database["recipient_keys"].update_one({}, {"$set": {"kn": 1}})  # a process that had not noticed yet
    services.token_keys.export("alder")
    found = uses(run)
    assert {place: row["current"] for place, row in found.items()} == {
        ("data", 1): False,
        ("data", 2): True,
        ("index", 1): True,
        ("token", 1): True,
    }
    none = {"recipient_keys": 0, "blocks": 0, "endpoints": 0, "messages": 0, "deliveries": 0}
    assert found["data", 1]["needed_by"] == {**none, "recipient_keys": 1}
    assert found["data", 2]["needed_by"] == {**none, "recipient_keys": 4}
    assert (found["index", 1]["needed_by"], found["token", 1]["needed_by"]) == ({}, None)
    text = run("status", "--brand", "alder").stdout
    assert "1 recipient_keys" in text
    assert "unknown: tokens are out in the world" in text
    assert "master key k1 wraps 4: the newest" in text
    assert "people.example" not in text


def test_a_data_key_is_rotated_rewrapped_and_retired(run: Any, services: Services) -> None:
    fill(services)
    rotated = run("rotate", "--brand", "alder")
    assert "alder: data key 2 seals from now on" in rotated.stdout
    assert "alder: 3 recipient_keys moved to the newest data key" in rotated.stdout
    early = run("retire", "--brand", "alder", "--kind", "data", "--number", "1")
    assert early.exit_code == 1
    assert "other processes may still use data key 1" in early.output
    settle(services)
    assert "nothing: can be retired" in run("status").stdout
    assert run("rewrap", "--brand", "alder").stdout == "alder: nothing moved to the newest data key\n"
    assert run("retire", "--brand", "alder", "--kind", "data", "--number", "1").exit_code == 0
    assert set(uses(run)) == {("data", 2), ("index", 1)}
    assert services.messages.get_many([0])[0].recipient.address == "p0@people.example"
    newest = run("retire", "--brand", "alder", "--kind", "data", "--number", "2")
    assert (newest.exit_code, "newest" in newest.output) == (1, True)


def test_a_key_that_is_needed_is_not_retired(run: Any, services: Services) -> None:
    fill(services)
    services.rotation.rotate("alder")
    settle(services)
    refused = run("retire", "--brand", "alder", "--kind", "data", "--number", "1")
    assert refused.exit_code == 1
    assert "needed by 3 recipient_keys" in refused.output
    assert len(uses(run)) == 3


def test_every_brand_is_rotated_at_once(run: Any, services: Services) -> None:
    fill(services)
    rotated = run("rotate", "--all-brands")
    assert rotated.exit_code == 0
    assert [line.split(":")[0] for line in rotated.stdout.splitlines()] == ["alder"] * 2 + ["birch"] * 2 + ["cedar"] * 2
    assert {row["number"] for row in uses(run, "--brand", "birch").values() if row["kind"] == "data"} == {1}
    assert run("rewrap").exit_code == 0


def test_token_keys_are_rotated_and_retired_with_a_question(run: Any, services: Services) -> None:
    services.token_keys.export("alder")
    assert "alder: token key 2" in run("rotate", "--brand", "alder", "--kind", "token").stdout
    retire = ("retire", "--brand", "alder", "--kind", "token", "--number")
    assert run(*retire, "1", input="n\n").exit_code == 1
    assert len(services.token_keys.keys_of("alder")) == 2
    assert run(*retire, "1", input="y\n").exit_code == 0
    assert [key.number for key in services.token_keys.keys_of("alder")] == [2]
    assert run(*retire, "1", "--yes").exit_code == 1
    assert run(*retire, "2", "--yes").exit_code == 1


def test_an_old_master_key_is_freed(run: Any, services: Services) -> None:
    fill(services)
    settings = replace(services.settings, master_keys=(("k2", bytes(32)), *services.settings.master_keys))
    services.__dict__.pop("keyring", None)
    services.settings = settings
    for made in ("vault", "rotation", "token_keys"):
        services.__dict__.pop(made, None)
    assert "master key k1 wraps 2: older" in run("status").stdout
    assert "2 keys are wrapped anew under master key k2" in run("rewrap", "--master").stdout
    assert "master key k2 wraps 2: the newest" in run("status").stdout
    assert {key.master_key_id for key in BrandKeys(services.database).find_all(KeyKind.DATA)} == {"k2"}


@pytest.mark.parametrize(
    "args",
    [
        ("rotate",),
        ("rotate", "--brand", "alder", "--all-brands"),
        ("rotate", "--brand", "nobody"),
        ("rotate", "--brand", "alder", "--kind", "index"),
        ("retire", "--brand", "alder", "--kind", "index", "--number", "1"),
        ("retire", "--brand", "nobody", "--kind", "data", "--number", "1"),
        ("rewrap", "--brand", "alder", "--master"),
        ("status", "--brand", "nobody"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Any, args: tuple[str, ...]) -> None:
    assert run(*args).exit_code == 2


def test_an_absent_store_is_said_in_a_sentence(run: Any, services: Services) -> None:
    fill(services)
    services.database.client.close()
    failed = run("status")
    assert failed.exit_code == 1
    assert "Traceback" not in failed.output
