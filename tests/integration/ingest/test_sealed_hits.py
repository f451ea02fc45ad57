"""Hits on sealed tokens become events of one message, which is registered when the first of them comes."""

from __future__ import annotations

from typing import Any

import orjson

from app.ingest.personal import PURPOSE
from app.models.block import Channel
from app.models.event import Event, EventKind
from app.tracking.codes import TOKEN_NUMBERS
from app.tracking.tokens import TokenContent, TokenPurpose
from tests.integration.conftest import World
from tests.integration.front.conftest import ChangeBrand

SHOP = "https://shop.alder.example/for?x=1"
ADDRESS = "someone@people.example"


def token(world: World, purpose: TokenPurpose, **more: Any) -> str:
    content = TokenContent(reference="order-7", address=ADDRESS, campaign_id="spring", list_id="news", **more)
    return world.services.token_keys.seal_many("alder", purpose, [content])[0]


def events(world: World, *, implied: bool = False) -> list[Event]:
    """What was hit, or the opens that clicks imply."""
    stored = world.services.database["events"].distinct("m")
    found = [event for number in stored for event in world.services.events.of_message(number)]
    return [event for event in found if event.implied is implied]


def test_open_click_and_unsubscribe_of_one_token_message_meet(world: World) -> None:
    assert world.hit(f"/o/s/{token(world, TokenPurpose.OPEN)}.gif")[0] == "200 OK"
    status, headers, _ = world.hit(f"/c/s/{token(world, TokenPurpose.CLICK, destination=SHOP)}")
    assert (status, headers["Location"]) == ("302 Found", SHOP)
    assert world.hit(f"/u/s/{token(world, TokenPurpose.UNSUBSCRIBE)}", "POST", body=b"x=1")[0] == "200 OK"
    batch = world.ingest()
    assert batch.dropped == {}
    found = events(world)
    assert sorted(event.kind for event in found) == [EventKind.CLICKED, EventKind.OPENED, EventKind.UNSUBSCRIBED]
    (number,) = {event.message for event in found}
    assert number >= TOKEN_NUMBERS
    assert {event.campaign_id for event in found} == {"spring"}
    message = world.services.messages.get(number)
    assert message is not None
    assert (message.recipient.address, message.metadata) == (ADDRESS, {"reference": "order-7"})
    hashed = world.services.keyring.address_hash("alder", Channel.EMAIL, ADDRESS)
    assert world.services.suppressions.covers("alder", hashed, "news")
    assert world.services.codes.message_number(world.services.codes.message_id(number)) == number


def test_the_destination_is_told_to_the_brand_and_sealed_at_rest(world: World) -> None:
    world.hit(f"/c/s/{token(world, TokenPurpose.CLICK, destination=SHOP)}")
    world.ingest()
    (event,) = events(world)
    opened = world.services.vault.open_many(PURPOSE, [("alder", event.personal)])[0]
    assert orjson.loads(opened or b"{}")["url"] == SHOP
    (row,) = world.services.database["deliveries"].find()
    body = orjson.loads(world.services.vault.open_many("delivery", [("alder", bytes(row["body"]))])[0] or b"{}")
    assert (body["data"]["url"], body["data"]["link_id"][:5]) == (SHOP, "lnk_s")


def test_the_first_of_many_hits_is_first_and_a_batch_twice_changes_nothing(world: World) -> None:
    link = f"/c/s/{token(world, TokenPurpose.CLICK, destination=SHOP)}"
    for _ in range(5):
        world.hit(link)
    world.ingest("a")
    world.ingest("a")
    world.ingest("b")
    found = events(world)
    assert len(found) == 5
    assert sum(event.first for event in found) == 1
    assert [event.first for event in events(world, implied=True)] == [True]
    assert world.services.database["messages"].count_documents({"_id": {"$gte": TOKEN_NUMBERS}}) == 1


def test_a_token_of_another_brand_or_purpose_leaves_no_trace(world: World) -> None:
    wrong = token(world, TokenPurpose.CLICK, destination=SHOP)
    assert world.hit(f"/u/s/{wrong}", "POST", body=b"x=1")[0] == "404 Not Found"
    assert world.hit(f"/c/s/{wrong}", host="t.birch.example")[0] == "404 Not Found"
    assert world.hit(f"/o/s/{wrong}.gif")[0] == "200 OK"
    world.ingest()
    assert events(world) == []


def test_what_the_brand_does_not_track_is_not_tracked_by_token_either(world: World, change_brand: ChangeBrand) -> None:
    change_brand("alder", tracking={"opens": False, "clicks": True})
    world.hit(f"/o/s/{token(world, TokenPurpose.OPEN)}.gif")
    world.hit(f"/c/s/{token(world, TokenPurpose.CLICK, destination=SHOP)}")
    assert world.ingest().dropped == {"untracked": 1}
    assert [event.kind for event in events(world)] == [EventKind.CLICKED]
    assert events(world, implied=True) == []


def test_judging_again_implies_no_open_by_token_where_the_brand_tracks_none(
    world: World, change_brand: ChangeBrand
) -> None:
    change_brand("alder", tracking={"opens": False, "clicks": True})
    world.hit(f"/c/s/{token(world, TokenPurpose.CLICK, destination=SHOP)}")
    world.ingest()
    brand = world.services.brands.by_id("alder")
    assert brand is not None
    world.services.database["events"].update_many({}, {"$inc": {"rt": -60_000}})
    assert [progress.events for progress, _ in world.services.reclassifier.run(brand, 0)] == [1]
    assert events(world, implied=True) == []


def test_fields_of_a_pixel_are_kept_sealed_and_out_of_the_query(world: World) -> None:
    fields = TokenContent(address=ADDRESS, metadata={"lead": "77"})
    sealed = world.services.token_keys.seal_many("alder", TokenPurpose.FIELDS, [fields])[0]
    world.hit(f"/o/{world.code(1)}.gif", QUERY_STRING=f"lead=7&p={sealed}")
    world.ingest()
    (event,) = world.services.events.of_message(world.number())
    assert event.query == "lead=7"
    opened = world.services.vault.open_many(PURPOSE, [("alder", event.personal)])[0]
    kept = orjson.loads(opened or b"{}")["fields"]
    assert (kept["address"], kept["metadata"]) == (ADDRESS, {"lead": "77"})
