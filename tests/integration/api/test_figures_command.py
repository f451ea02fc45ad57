"""`flask db figures`, on a real store: the figures by their names, and whether the events say the same."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from app.analytics.definitions import FIGURES
from app.commands.db import group
from app.lib import clock
from app.models.count import CountKey
from app.services import Services
from tests.integration.api.api_bodies import Call, email
from tests.integration.api.visitor import Visitor


@pytest.fixture
def run(flask_app: Flask) -> Any:
    flask_app.cli.add_command(group)
    runner = flask_app.test_cli_runner()

    def run(*args: str) -> Result:
        return runner.invoke(args=["db", "figures", *args])

    return run


def test_figures_are_printed_and_held_against_the_events(
    run: Any, call: Call, services: Services, visitor: Visitor
) -> None:
    (message,) = call("POST", "/v1/messages", email()).get_json()["messages"]
    call("POST", f"/v1/messages/{message['id']}/events", {"type": "sent", "at": "2020-01-01T00:00:00Z"})
    visitor.get(message["pixel_url"])
    visitor.get(message["links"][0]["tracked_url"])
    visitor.ingest()
    lines = [line.split() for line in run("alder").stdout.splitlines()]
    assert [name for name, _ in lines] == [figure.name for figure in FIGURES]
    assert dict(lines)["clicked.all"] == "1"
    assert (dict(lines)["sent"], dict(lines)["corrected"]) == ("1", "0")
    later = dict(
        line.split() for line in run("alder", "--from", "2020-01-02", "--campaign", "spring").stdout.splitlines()
    )
    assert (later["sent"], later["clicked.all"], later["open_rate"]) == ("0", "1", "–")

    equal = run("alder", "--recount")
    assert equal.exit_code == 0
    assert equal.stdout.startswith("2 events from "), "the old one may be past its retention"
    assert equal.stdout.endswith(", 0 differences\n")

    day = clock.now().date().isoformat()
    wrong = CountKey("alder", "spring", day, "opened", "human", True, 0, "header")
    services.batches.mark("wrong", {wrong: 7}, records=7, dropped={})
    different = run("alder", "--recount")
    assert different.exit_code == 1
    assert f"{day} spring opened header human rank 0 counted: 7 in counts, 0 in events" in different.stdout
    assert run("nobody", "--recount").exit_code == 1
    assert run("alder", "--recount", "--campaign", "spring").exit_code == 2
