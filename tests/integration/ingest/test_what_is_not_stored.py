"""Hits that are answered like any other and leave no event: of erased people, and of what is not tracked."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest

from app.ingest.personal import PURPOSE
from app.lib import clock
from app.models.block import Channel, Link
from app.models.event import EventKind
from app.models.signals import address_of, without_source
from app.models.suppression import Suppression
from tests.integration.conftest import LINKS, World, store_block
from tests.integration.front.conftest import ChangeBrand


def erase(world: World, message: int = 0, *, suppress: bool = True) -> int:
    hashed = world.services.keyring.address_hash("alder", Channel.EMAIL, f"p{message}@people.example")
    return world.services.erasure.erase("alder", hashed, suppress=suppress, at=clock.now()).messages


def test_an_erased_persons_hits_are_served_and_not_stored(world: World) -> None:
    assert erase(world) == 1
    assert world.hit(f"/o/{world.code(1)}.gif")[0] == "200 OK"
    status, headers, _ = world.hit(f"/c/{world.code(4)}")
    assert (status, headers["Location"]) == ("302 Found", LINKS[0])
    assert world.hit(f"/u/{world.code(2)}", "POST", body=b"List-Unsubscribe=One-Click")[0] == "200 OK"
    world.hit(f"/c/{world.code(4, 1)}")
    batch = world.ingest()
    assert batch.dropped == {"erased": 3}
    assert world.services.events.of_message(world.number()) == []
    kept = world.services.events.of_message(world.number(1))
    assert {(event.kind, event.implied) for event in kept} == {(EventKind.CLICKED, False), (EventKind.OPENED, True)}


def test_erasing_takes_out_what_was_kept_of_the_client_and_leaves_what_happened(world: World) -> None:
    world.hit(f"/o/{world.code(1)}.gif", QUERY_STRING="lead=7")
    world.ingest()
    (before,) = world.services.events.of_message(world.number())
    assert (before.client, before.query) == ("192.0.2.0/24", "lead=7")
    erase(world)
    (after,) = world.services.events.of_message(world.number())
    assert address_of(before.signals), "a fingerprint of the client"
    assert after == before._replace(client="", query="", signals=without_source(before.signals))
    document = world.services.database["messages"].find_one({"_id": world.number()})
    assert set(document or {}) == {"_id", "b", "ch", "at", "x"}


def test_erasing_twice_and_erasing_a_stranger_are_harmless(world: World) -> None:
    assert [erase(world), erase(world), erase(world, 500)] == [1, 0, 0]


@pytest.mark.parametrize("suppress", [True, False])
def test_a_suppression_that_was_there_stays_and_forgets_its_message(world: World, suppress: bool) -> None:
    world.hit(f"/u/{world.code(2)}", "POST", body=b"List-Unsubscribe=One-Click")
    hashed = world.services.keyring.address_hash("alder", Channel.EMAIL, "p0@people.example")
    erase(world, suppress=suppress)
    found = {(row.list_id, row.reason) for row in world.services.suppressions.of_address("alder", hashed)}
    assert found == {("news", "unsubscribed")} | ({("*", "erased")} if suppress else set())
    assert all(isinstance(row, Suppression) for row in world.services.suppressions.of_address("alder", hashed))
    assert world.services.database["suppressions"].count_documents({"m": {"$exists": True}}) == 0


@pytest.mark.parametrize(("opens", "clicks", "stored"), [(False, True, {"clicked"}), (True, False, {"opened"})])
def test_what_a_message_does_not_track_is_served_and_not_stored(
    world: World, opens: bool, clicks: bool, stored: set[str]
) -> None:
    world.block = store_block(world.services, track_opens=opens, track_clicks=clicks)
    assert world.hit(f"/o/{world.code(1)}.gif")[0] == "200 OK"
    assert world.hit(f"/c/{world.code(4)}")[0] == "302 Found"
    batch = world.ingest()
    assert batch.dropped == {"untracked": 1}
    assert {event.kind.value for event in world.services.events.of_message(world.number())} == stored


@pytest.mark.parametrize(("opens", "clicks", "stored"), [(False, True, 2), (True, False, 0)])
def test_a_look_at_the_unsubscribe_page_is_kept_as_evidence_about_clicks_only(
    world: World, opens: bool, clicks: bool, stored: int
) -> None:
    world.block = store_block(world.services, track_opens=opens, track_clicks=clicks)
    for method in ("GET", "HEAD"):
        world.hit(f"/u/{world.code(2)}", method)
    assert world.ingest().dropped["untracked"] == 2 - stored
    found = world.services.events.of_message(world.number())
    assert [(event.kind, event.slot, event.judgement.counted) for event in found] == [
        (EventKind.VIEWED, 2, False)
    ] * stored
    assert world.services.database["suppressions"].count_documents({}) == 0


def test_a_click_on_a_blocked_destination_is_told_and_not_counted(world: World, change_brand: ChangeBrand) -> None:
    change_brand("alder", links={"blocked_domains": ["shop.alder.example"]})
    assert world.hit(f"/c/{world.code(4)}")[0] == "410 Gone"
    world.ingest()
    (event,) = world.services.events.of_message(world.number())
    assert (event.kind, event.judgement.counted) == (EventKind.CLICKED, False)
    assert "destination_blocked" in event.judgement.reasons


def test_a_full_client_address_is_sealed_for_the_recipient_and_goes_with_them(
    world: World, change_brand: ChangeBrand
) -> None:
    change_brand("alder", client_address="full")
    world.hit(f"/o/{world.code(1)}.gif")
    world.ingest()
    (event,) = world.services.events.of_message(world.number())
    assert event.client == "192.0.2.0/24"
    sealed = [("alder", event.personal)]
    assert orjson.loads(world.services.vault.open_many(PURPOSE, sealed)[0] or b"{}") == {"client": "192.0.2.77"}
    erase(world)
    assert world.services.vault.open_many(PURPOSE, sealed) == [None]


def test_a_click_that_ended_at_a_page_of_ours_is_told_and_not_counted(world: World) -> None:
    links = (Link("{{ url }}", personal=True),)
    world.block = store_block(world.services, links=links)
    world.services.messages.strip_older_than("alder", clock.now() + timedelta(days=1), 100)
    assert world.hit(f"/c/{world.code(4)}")[0] == "410 Gone"
    world.ingest()
    (event,) = world.services.events.of_message(world.number())
    assert (event.kind, event.judgement.counted, event.judgement.reasons) == (
        EventKind.CLICKED,
        False,
        ("values_gone",),
    )
