"""The collection `endpoint_health` on a real replica set: two who see the same thing make one transition."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.monitoring import CommandListener, CommandStartedEvent

from app.models.delivery import DisabledReason
from app.models.endpoint_health import Health, Notice
from app.storage.client import connect
from app.storage.endpoint_health import EndpointHealth
from app.webhooks.health import HealthRules
from config.settings import Settings

NOW = datetime(2026, 1, 1, 6, 0, 0, tzinfo=UTC)
MAIN = ("harbour", "main")
T = TypeVar("T")


@pytest.fixture
def health(database: Database[dict[str, Any]]) -> EndpointHealth:
    return EndpointHealth(database, HealthRules())


@pytest.fixture
def at_once(settings: Settings) -> Callable[[Callable[[EndpointHealth], T]], list[T]]:
    """Runs a call in six workers, each with a connection of its own, at the same moment."""

    def run(call: Callable[[EndpointHealth], T]) -> list[T]:
        answers: list[T] = []
        barrier = threading.Barrier(6)

        def work() -> None:
            database = connect(settings)
            store = EndpointHealth(database, HealthRules())
            store.of(*MAIN)
            barrier.wait()
            answers.append(call(store))
            database.client.close()

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    return run


class _Commands(CommandListener):
    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: object) -> None:
        """Not of interest."""

    def failed(self, event: object) -> None:
        """Not of interest."""


@pytest.fixture
def commands() -> _Commands:
    return _Commands()


@pytest.fixture
def watched(settings: Settings, commands: _Commands) -> Iterator[EndpointHealth]:
    with MongoClient[dict[str, Any]](settings.mongo_url, tz_aware=True, event_listeners=[commands]) as client:
        yield EndpointHealth(client.get_database(settings.mongo_database), HealthRules())


def test_an_endpoint_of_which_nothing_is_known_is_well(health: EndpointHealth) -> None:
    assert health.of(*MAIN) == Health()
    assert health.of_brand("harbour") == {}


def test_what_was_noted_comes_back(health: EndpointHealth) -> None:
    health.note(*MAIN, now=NOW, failed=2, mark="endpoint_redirects", location_host="new.harbour.example")
    health.note(*MAIN, now=NOW + timedelta(hours=13), failed=1, blocked=1)
    found = health.of(*MAIN)
    assert (found.failures, found.failing_since, len(found.windows)) == (3, NOW, 2)
    assert (found.mark, found.location_host) == ("endpoint_redirects", "new.harbour.example")
    assert found.strikes == (NOW + timedelta(hours=13),)
    assert health.of_brand("harbour") == {"main": found}


def test_two_brands_with_the_same_endpoint_id_do_not_share_it(health: EndpointHealth) -> None:
    health.disable("harbour", "main", DisabledReason.OWNER, NOW)
    health.note("meadow", "main", now=NOW, failed=1)
    assert health.of("meadow", "main").disabled is None


def test_410_from_several_workers_at_once_is_one_transition(
    health: EndpointHealth, at_once: Callable[[Callable[[EndpointHealth], bool]], list[bool]]
) -> None:
    done = at_once(lambda store: store.disable(*MAIN, DisabledReason.GONE, NOW))
    assert sorted(done) == [False] * 5 + [True]
    assert health.of(*MAIN).disabled is DisabledReason.GONE


def test_an_endpoint_that_was_known_is_disabled_once_as_well(
    health: EndpointHealth, at_once: Callable[[Callable[[EndpointHealth], bool]], list[bool]]
) -> None:
    health.note(*MAIN, now=NOW, failed=3)
    assert sum(at_once(lambda store: store.disable(*MAIN, DisabledReason.GONE, NOW))) == 1
    assert health.of(*MAIN).failures == 3


def test_who_disables_first_gives_the_reason(health: EndpointHealth) -> None:
    assert health.disable(*MAIN, DisabledReason.GONE, NOW)
    assert not health.disable(*MAIN, DisabledReason.OWNER, NOW)
    assert health.of(*MAIN).disabled is DisabledReason.GONE


def test_five_days_of_failures_are_told_by_one_of_several_workers(
    health: EndpointHealth, at_once: Callable[[Callable[[EndpointHealth], list[Notice]]], list[list[Notice]]]
) -> None:
    for hours in range(0, 120, 5):
        health.note(*MAIN, now=NOW + timedelta(hours=hours), failed=1)
    told = at_once(lambda store: store.note(*MAIN, now=NOW + timedelta(hours=120), failed=1))
    assert [notice.data["reason"] for notices in told for notice in notices] == ["failing"]
    assert health.of(*MAIN).disabled is DisabledReason.FAILING


def test_notes_of_several_workers_add_up(
    health: EndpointHealth, at_once: Callable[[Callable[[EndpointHealth], list[Notice]]], list[list[Notice]]]
) -> None:
    known = health.of(*MAIN)
    told = at_once(lambda store: store.note(*MAIN, now=NOW, failed=2, alert=True, known=known))
    assert health.of(*MAIN).failures == 12
    assert sum(len(notices) for notices in told) == 1


def test_an_enabled_endpoint_begins_anew_and_its_first_success_is_told(health: EndpointHealth) -> None:
    health.note(*MAIN, now=NOW, failed=20, blocked=1, mark="endpoint_redirects")
    health.disable(*MAIN, DisabledReason.GONE, NOW)
    assert health.enable(*MAIN, NOW + timedelta(hours=1))
    assert not health.enable(*MAIN, NOW + timedelta(hours=1))
    found = health.of(*MAIN)
    assert found._replace(version=0) == Health(told=True, enabled_at=NOW + timedelta(hours=1))
    (notice,) = health.note(*MAIN, now=NOW + timedelta(hours=2), succeeded=1)
    assert notice.type == "endpoint.recovered"


def test_an_endpoint_that_was_never_disabled_cannot_be_enabled(health: EndpointHealth) -> None:
    health.note(*MAIN, now=NOW, failed=1)
    assert not health.enable(*MAIN, NOW)
    assert not health.enable("harbour", "nobody", NOW)


def test_a_removed_endpoint_leaves_nothing(health: EndpointHealth) -> None:
    health.disable(*MAIN, DisabledReason.GONE, NOW)
    health.remove(*MAIN)
    assert health.of(*MAIN) == Health()


def test_a_run_costs_one_read_and_at_most_one_write(watched: EndpointHealth, commands: _Commands) -> None:
    for minute, (succeeded, failed) in enumerate([(5, 0), (5, 0), (0, 5), (0, 5), (5, 0), (5, 0)]):
        known = watched.of(*MAIN)
        watched.note(*MAIN, now=NOW + timedelta(minutes=minute), succeeded=succeeded, failed=failed, known=known)
    assert commands.names == [
        *("find", "insert"),
        "find",  # well, as a minute ago
        *("find", "update"),
        *("find", "update"),
        *("find", "update"),
        "find",
    ]
