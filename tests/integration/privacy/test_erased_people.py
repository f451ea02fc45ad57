"""Somebody who was erased does not come back: not by a token in an old mail, not by a race, not by a webhook's body."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest

from app.errors import StoreUnavailable
from app.lib import clock
from app.messages.erasure import Erased
from app.models.block import Channel
from app.models.event import EventKind
from app.models.message import Message, Recipient
from app.tracking.codes import TOKEN_NUMBERS
from app.tracking.tokens import TokenContent, TokenPurpose
from tests.integration.conftest import World

ANN = "ann@people.example"
SHOP = "https://shop.alder.example/for?x=marked"


def token(world: World, purpose: TokenPurpose, reference: str, *, brand_id: str = "alder", **more: Any) -> str:
    content = TokenContent(reference=reference, address=ANN, list_id="news", **more)
    return world.services.token_keys.seal_many(brand_id, purpose, [content])[0]


def hash_of(world: World, address: str = ANN, brand_id: str = "alder") -> str:
    return world.services.keyring.address_hash(brand_id, Channel.EMAIL, address)


def erase(world: World, address: str = ANN) -> Erased:
    return world.services.erasure.erase("alder", hash_of(world, address), suppress=True, at=clock.now())


def keys_of(world: World, address: str = ANN, brand_id: str = "alder") -> int:
    hashed = bytes.fromhex(hash_of(world, address, brand_id))
    return int(world.services.database["recipient_keys"].count_documents({"b": brand_id, "h": hashed}))


class During:
    """One method of an object, with something else happening right after its first call."""

    def __init__(self, wrapped: Any, name: str, then: Callable[[], object]) -> None:
        self._wrapped, self._name, self._then = wrapped, name, then
        self._done = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._wrapped, name)
        if name != self._name or self._done:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            answer = found(*args, **kwargs)
            if not self._done:
                self._done = True
                self._then()
            return answer

        return call


def token_messages(world: World) -> list[dict[str, Any]]:
    return list(world.services.database["messages"].find({"_id": {"$gte": TOKEN_NUMBERS}}))


def test_a_token_that_was_never_hit_before_does_not_bring_an_erased_person_back(world: World) -> None:
    world.hit(f"/o/s/{token(world, TokenPurpose.OPEN, 'order-7')}.gif")
    world.ingest("a")
    assert erase(world).messages == 1
    world.hit(f"/o/s/{token(world, TokenPurpose.OPEN, 'order-8')}.gif")
    status, headers, _ = world.hit(f"/c/s/{token(world, TokenPurpose.CLICK, 'order-9', destination=SHOP)}")
    assert (status, headers["Location"]) == ("302 Found", SHOP)
    assert world.ingest("b").dropped == {"erased": 3}
    assert world.services.messages.of_recipient("alder", hash_of(world)) == []
    assert keys_of(world) == 0


def test_an_erasure_is_one_brands_matter(world: World) -> None:
    erase(world)
    world.hit(f"/o/s/{token(world, TokenPurpose.OPEN, 'order-7', brand_id='birch')}.gif", host="t.birch.example")
    assert world.ingest().dropped == {}
    assert keys_of(world, brand_id="birch") == 1


def test_hits_that_wait_in_the_journal_while_their_person_is_erased_are_not_stored(world: World) -> None:
    world.hit(f"/o/s/{token(world, TokenPurpose.OPEN, 'order-7')}.gif")
    erase(world)
    assert world.ingest().dropped == {"erased": 1}
    assert token_messages(world) == []


@pytest.mark.parametrize("step", ["missing", "insert_many"])
def test_an_erasure_in_the_middle_of_registering_a_token_wins(world: World, step: str) -> None:
    world.hit(f"/o/s/{token(world, TokenPurpose.OPEN, 'order-7')}.gif")
    sealed = world.services.ingest._personal._sealed
    sealed._messages = During(sealed._messages, step, lambda: erase(world))
    try:
        world.ingest("a")
    except StoreUnavailable:
        world.ingest("a")  # as the task does
    assert [set(row) for row in token_messages(world)] == [{"_id", "b", "ch", "at", "x"}]
    assert world.services.messages.of_recipient("alder", hash_of(world)) == []
    assert world.services.events.of_message(token_messages(world)[0]["_id"]) == []
    assert world.ingest("b").dropped == {"erased": 1}


class ErasesAfterSealing:
    """A vault during whose sealing somebody is erased: the message is stored after the erasure has looked for it."""

    def __init__(self, world: World, address: str) -> None:
        self._world, self._vault, self._address = world, world.services.vault, address

    def seal_many(self, brand_id: str, purpose: str, items: Sequence[tuple[str, bytes]]) -> list[bytes]:
        sealed = self._vault.seal_many(brand_id, purpose, items)
        erase(self._world, self._address)
        return sealed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vault, name)


def test_a_registration_that_is_overtaken_by_an_erasure_leaves_nothing_of_the_person(world: World) -> None:
    services = world.services
    start = services.numbers.reserve(8)
    people = ["racer@people.example", "other@people.example"]
    messages = [
        Message(
            number=start + 4 * place,
            brand_id="alder",
            channel=Channel.EMAIL,
            recipient=Recipient(address),
            address_hash=hash_of(world, address),
            created_at=clock.now(),
            campaign_id="spring",
            list_id="news",
        )
        for place, address in enumerate(people)
    ]
    services.messages._vault = ErasesAfterSealing(world, people[0])
    services.messages.insert_many(messages)
    stored = {row["_id"]: set(row) for row in services.database["messages"].find({"_id": {"$gte": start}})}
    assert stored[start] == {"_id", "b", "ch", "at", "x"}
    assert "h" in stored[start + 4]
    assert services.erasures.among({start, start + 4}) == {start}


def test_a_click_by_token_past_retention_is_told_without_where_it_led(world: World) -> None:
    link = f"/c/s/{token(world, TokenPurpose.CLICK, 'order-7', destination=SHOP)}"
    world.hit(link)
    world.ingest("a")
    world.services.messages.strip_older_than("alder", clock.now().replace(year=2099), 1000)
    world.services.database["deliveries"].delete_many({})
    world.hit(link)
    world.ingest("b")
    (row,) = world.services.database["deliveries"].find()
    (body,) = world.services.vault.open_many("delivery", [("alder", bytes(row["body"]))])
    data = orjson.loads(body or b"")["data"]
    assert "url" not in data
    assert data["link_id"].startswith("lnk_s")


def test_what_the_brands_key_sealed_for_webhooks_goes_with_the_person(world: World) -> None:
    world.hit(f"/c/{world.code(4)}")
    world.ingest("a")
    rows = world.services.database["deliveries"]
    (row,) = rows.find()
    # As before persons had keys, and as it is told of a message that is past its retention.
    old = world.services.keyring.seal("alder", "delivery", b'{"address":"p0@people.example"}')
    rows.update_one({"_id": row["_id"]}, {"$set": {"body": old, "kn": 1, "log": [{"number": 1, "detail": old}]}})
    erase(world, "p0@people.example")
    (row,) = rows.find()
    assert "body" not in row
    assert "log" not in row
    assert (row["state"], row["closed"]) == ("dead", "recipient_erased")


def test_erasing_leaves_the_webhooks_of_others_alone(world: World) -> None:
    for message in (0, 1):
        world.hit(f"/c/{world.code(4, message)}")
    world.ingest("a")
    erase(world, "p0@people.example")
    rows = list(world.services.database["deliveries"].find())
    assert sorted(row["state"] for row in rows) == ["dead", "pending"]
    kept = world.services.events.of_message(world.number(1))
    assert [event.kind for event in kept if not event.implied] == [EventKind.CLICKED]


def test_an_erasure_whose_time_is_up_goes_on_where_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.messages.erasure._EVENTS_AT_ONCE", 2)
    for _ in range(5):
        world.hit(f"/o/{world.code(1)}.gif", QUERY_STRING="lead=7")
    world.ingest()
    seconds = iter(range(0, 1_000_000, 11))
    world.services.erasure._monotonic = lambda: float(next(seconds))
    assert [erase(world, "p0@people.example").complete for _ in range(5)] == [False, False, False, False, True]
    found = world.services.events.of_message(world.number())
    assert [(event.query, event.client, event.personal) for event in found] == [("", "", b"")] * 5
    assert world.services.database["deliveries"].count_documents({"body": {"$exists": True}}) == 0
    assert keys_of(world, "p0@people.example") == 0
