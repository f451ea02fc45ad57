"""Personalised links: one link of the block, filled with each recipient's own values at the click."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from app.models.block import Link
from tests.integration.conftest import World
from tests.integration.front.conftest import ChangeBrand, StoreLinks

TEMPLATE = "https://shop.alder.example/o/{{ order }}?v={{variant}}&a=1#{{ order }}"
VALUES = {"order": "A/1 ü", "variant": "x&y=z"}
FILLED = "https://shop.alder.example/o/A%2F1%20%C3%BC?v=x%26y%3Dz&a=1#A%2F1%20%C3%BC"


def _store(store_links: StoreLinks, template: str, values: Mapping[str, str]) -> str:
    (code,) = store_links(Link(template, personal=True), values=values)
    return code


def _erase(world: World) -> None:
    """Everything that is personal is gone from the messages, as after an erasure."""
    world.services.database["messages"].delete_many({})


def _hit(world: World, code: str) -> tuple[str, str | None]:
    status, headers, _ = world.hit(f"/c/{code}")
    return status, headers.get("Location")


def test_a_personalised_link_leads_each_recipient_to_their_own_page(world: World, store_links: StoreLinks) -> None:
    code = _store(store_links, TEMPLATE, VALUES)
    other = _store(store_links, TEMPLATE, {"order": "2", "variant": ""})
    assert _hit(world, code) == ("302 Found", FILLED)
    assert _hit(world, other) == ("302 Found", "https://shop.alder.example/o/2?v=&a=1#2")
    assert world.hit(f"/c/{code}", "HEAD")[1]["Location"] == FILLED
    assert [record.code for record in world.records()] == [code, other, code]
    for value in (b"A/1", b"A%2F1", b"x&y"):
        assert value not in world.journal_lines()


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("https://shop.alder.example/for/ann?a=1&b=2", "https://shop.alder.example/for/ann?a=1&b=2"),
        ("https://shop.alder.example/grün", "https://shop.alder.example/gr%C3%BCn"),
        ("javascript:alert(1)", None),
        ("//evil.example", None),
        ("https://ann@shop.alder.example/", None),
        ("https://shop.alder.example/\r\nSet-Cookie: a=b", None),
        ("https://blocked.example/", None),
        ("", None),
    ],
)
def test_a_value_that_is_the_whole_url_is_judged_like_any_destination(
    world: World, store_links: StoreLinks, change_brand: ChangeBrand, url: str, location: str | None
) -> None:
    change_brand("alder", links={"blocked_domains": ["blocked.example"]})
    code = _store(store_links, "{{ url }}", {"url": url})
    assert _hit(world, code) == ("302 Found" if location else "410 Gone", location)
    assert [record.headers for record in world.records()] == [{} if location else {"blocked": "1"}]


@pytest.mark.parametrize("values", [{"order": "..", "variant": "x"}, {"order": "x"}, {}])
def test_a_destination_that_cannot_be_filled_is_not_followed(
    world: World, store_links: StoreLinks, values: dict[str, str]
) -> None:
    assert _hit(world, _store(store_links, TEMPLATE, values)) == ("410 Gone", None)


def test_an_erased_persons_link_leads_to_what_is_left_without_the_person(
    world: World, store_links: StoreLinks, change_brand: ChangeBrand
) -> None:
    code = _store(store_links, TEMPLATE, VALUES)
    whole = _store(store_links, "{{ url }}", {"url": "https://shop.alder.example/ann"})
    _erase(world)
    assert _hit(world, code) == ("302 Found", "https://shop.alder.example/o/?a=1")
    assert _hit(world, whole) == ("410 Gone", None)
    change_brand("alder", links={"erased": "page"})
    status, headers, body = world.hit(f"/c/{code}")
    assert (status, "Location" in headers) == ("410 Gone", False)
    assert b"no longer available" in body
    assert b"alder" not in body
    assert world.counted == [("click", outcome) for outcome in ("recorded", "gone", "gone")]


def test_what_is_left_without_the_person_is_judged_too(
    world: World, store_links: StoreLinks, change_brand: ChangeBrand
) -> None:
    code = _store(store_links, TEMPLATE, VALUES)
    _erase(world)
    change_brand("alder", links={"blocked_domains": ["alder.example"]})
    assert _hit(world, code) == ("410 Gone", None)
    assert world.records()[-1].headers == {"blocked": "1"}


def test_while_the_values_cannot_be_read_nobody_is_sent_to_another_page(world: World, store_links: StoreLinks) -> None:
    code = _store(store_links, TEMPLATE, VALUES)
    assert _hit(world, code)[0] == "302 Found"
    world.services.database.client.close()
    for _ in range(3):
        status, headers, _ = world.hit(f"/c/{code}")
        assert (status, headers["Retry-After"]) == ("503 Service Unavailable", "30")
        assert "Location" not in headers
    # Other links of other people go on.
    assert world.counted[1:] == [("click", "unavailable")] * 3


def test_a_template_that_was_not_meant_as_one_is_followed_as_it_is(world: World, store_links: StoreLinks) -> None:
    (code,) = store_links(Link("https://shop.alder.example/{{ id }}"))
    assert _hit(world, code) == ("302 Found", "https://shop.alder.example/{{%20id%20}}")
