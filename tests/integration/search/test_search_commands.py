"""The task and `flask search`: both keep the index of every brand up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

import tasks.base
from app.commands.search import group
from app.lib import clock
from app.models.event import EventKind
from app.services import Services, build_services
from config.beat import PERIOD_SECONDS
from config.queues import TaskName
from config.settings import load_settings
from tasks.search import index_events
from tests.integration.search.corpus import Corpus, event
from tests.integration.search.proxy import Proxy

BRANDS = """
version: 1
brands:
  - {id: alder, name: Alder, tracking_hosts: [t.alder.example]}
  - {id: birch, name: Birch, tracking_hosts: [t.birch.example]}
"""


@pytest.fixture
def services(
    environment: dict[str, str], tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Services]:
    file = tmp_path / "brands.yaml"
    file.write_text(BRANDS, encoding="utf-8")
    found = build_services(load_settings({**environment, "TELLTALE_BRANDS_FILE": str(file)}), role="worker")
    found.indexer, found.search_states = corpus.indexer(batch=2), corpus.states
    monkeypatch.setattr(tasks.base, "_services", (os.getpid(), found))
    monkeypatch.setitem(PERIOD_SECONDS, TaskName.INDEX_EVENTS, 10.0)
    yield found
    found.close()


@pytest.fixture
def runner(services: Services) -> FlaskCliRunner:
    app = Flask("commands")
    app.extensions["telltale"] = services
    app.cli.add_command(group)
    return app.test_cli_runner()


def say(runner: FlaskCliRunner, *args: str, code: int = 0) -> str:
    result = runner.invoke(args=["search", *args])
    assert result.exit_code == code, result.output
    return result.output


def fill(corpus: Corpus) -> None:
    corpus.events.insert([event(number, EventKind.CLICKED) for number in range(5)], "a")
    corpus.events.insert([event(1, brand_id="birch", message=9, block=9)], "b")


def test_a_tick_indexes_every_brand(services: Services, corpus: Corpus) -> None:
    fill(corpus)
    index_events.apply().get()
    assert (corpus.index.count("alder"), corpus.index.count("birch")) == (5, 1)


def test_a_tick_without_opensearch_fails_nothing(services: Services, corpus: Corpus, proxy: Proxy) -> None:
    fill(corpus)
    proxy.away = True
    index_events.apply().get()
    proxy.away = False
    services.redis.delete(f"telltale:tick:{TaskName.INDEX_EVENTS.value}")
    index_events.apply().get()
    assert corpus.index.count("alder") == 5


def test_a_tick_where_there_is_no_index_does_nothing(services: Services, corpus: Corpus, proxy: Proxy) -> None:
    fill(corpus)
    services.indexer = None
    index_events.apply().get()
    assert proxy.requests == 0


def test_commands_say_how_far_the_index_is_and_make_it_anew(runner: FlaskCliRunner, corpus: Corpus) -> None:
    fill(corpus)
    assert say(runner, "status", "--brand", "alder") == "alder: not indexed yet\n"
    assert say(runner, "catch-up") == "alder: 5 events indexed\nbirch: 1 events indexed\n"
    assert say(runner, "catch-up", "--brand", "alder") == "alder: 0 events indexed\n"
    assert say(runner, "status").startswith("alder: 5 events, found up to ")
    corpus.database["events"].delete_many({"b": "alder", "at": {"$gt": 0}, "s": {"$mod": [2, 0]}})
    left = corpus.database["events"].count_documents({"b": "alder"})
    assert say(runner, "reindex", "--brand", "alder") == f"alder: {left} events indexed\n"
    assert corpus.index.count("alder") == left
    assert corpus.index.count("birch") == 1


def test_commands_say_why_they_cannot(runner: FlaskCliRunner, services: Services, corpus: Corpus, proxy: Proxy) -> None:
    fill(corpus)
    assert "there is no brand nobody" in say(runner, "status", "--brand", "nobody", code=2)
    proxy.away = True
    assert "does not answer" in say(runner, "catch-up", code=1)
    services.indexer = None
    assert "OPENSEARCH_URL is not set" in say(runner, "status", code=1)


def test_who_comes_second_is_told(runner: FlaskCliRunner, corpus: Corpus) -> None:
    claim: Any = corpus.states.claim("alder", clock.now(), 60)
    assert "another run" in say(runner, "catch-up", "--brand", "alder", code=1)
    corpus.states.release("alder", claim.run)
