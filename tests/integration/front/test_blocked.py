"""Where a click may lead is decided again at every click, by what the brand allows now."""

from __future__ import annotations

import pytest

from app.models.block import Link
from app.models.record import HitKind
from tests.integration.conftest import LINKS, World
from tests.integration.front.conftest import ChangeBrand, StoreLinks
from tests.integration.front.test_front import EVERYWHERE


def _is_blocked(world: World, code: str) -> bool:
    status, headers, body = world.hit(f"/c/{code}")
    if status == "302 Found":
        return False
    assert status == "410 Gone"
    assert "Location" not in headers
    assert EVERYWHERE.items() <= headers.items()
    assert "ETag" not in headers
    page = body.decode()
    assert "This link is closed" in page
    assert "href" not in page
    assert "alder" not in page
    return True


@pytest.mark.parametrize("field", [{"blocked_domains": ["shop.alder.example"]}, {"blocked_domains": ["alder.example"]}])
def test_a_domain_that_is_blocked_after_the_send_is_a_page_and_a_record_that_says_so(
    world: World, change_brand: ChangeBrand, field: dict[str, list[str]]
) -> None:
    code = world.code(4)
    assert not _is_blocked(world, code)
    change_brand("alder", links=field)
    assert _is_blocked(world, code)
    assert world.hit(f"/c/{code}", "HEAD")[0::2] == ("410 Gone", b"")
    change_brand("alder", links={})
    assert not _is_blocked(world, code)
    records = world.records()
    assert [record.headers for record in records] == [{}, {"blocked": "1"}, {"blocked": "1"}, {}]
    assert {(record.kind, record.code, record.number) for record in records} == {
        (HitKind.CLICK, code, world.block.start + 4)
    }
    assert world.counted == [("click", outcome) for outcome in ("recorded", "blocked", "blocked", "recorded")]


@pytest.mark.parametrize(
    ("destinations", "blocked"),
    [
        (["alder.example"], False),
        (["shop.alder.example"], False),
        (["other.example"], True),
        (["op.alder.example"], True),
        (["www.shop.alder.example"], True),
    ],
)
def test_the_allow_list_of_now_counts_at_label_boundaries(
    world: World, change_brand: ChangeBrand, destinations: list[str], blocked: bool
) -> None:
    change_brand("alder", destinations=destinations)
    assert _is_blocked(world, world.code(4)) is blocked


def test_another_brands_policy_changes_nothing(world: World, change_brand: ChangeBrand) -> None:
    change_brand("birch", destinations=["birch.example"], links={"blocked_domains": ["alder.example"]})
    assert not _is_blocked(world, world.code(4))


def test_a_link_to_the_brands_own_tracking_host_would_be_a_loop(world: World, change_brand: ChangeBrand) -> None:
    change_brand("alder", tracking_hosts=["t.alder.example", "shop.alder.example"])
    assert _is_blocked(world, world.code(4))


@pytest.mark.parametrize(
    "destination",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//shop.alder.example/",
        "/c/x",
        "",
        "https://shop.alder.example/\r\nSet-Cookie: a=b",
        "https://shop.alder.example/\nx",
        "https://ann:secret@shop.alder.example/",
        "https://shop.alder.example@evil.example/",
        "https://shop.alder.example\\@evil.example/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://shop.alder.example/ ",
    ],
)
def test_what_should_never_have_been_stored_is_not_followed(
    world: World, store_links: StoreLinks, destination: str
) -> None:
    (code,) = store_links(Link(destination))
    assert _is_blocked(world, code)


@pytest.mark.parametrize(
    ("destination", "target"),
    [
        ("https://shop.alder.example/a b?q=ü", "https://shop.alder.example/a%20b?q=%C3%BC"),
        ("https://shop.alder.example/\u200b", "https://shop.alder.example/%E2%80%8B"),
        ("https://straße.alder.example/", "https://xn--strae-oqa.alder.example/"),
        ("https://shop.alder.example/?ids[]=1&ids[]=2#a", "https://shop.alder.example/?ids[]=1&ids[]=2#a"),
        ("https://shop.alder.example/".ljust(8192, "x"), "https://shop.alder.example/".ljust(8192, "x")),
    ],
)
def test_what_its_author_wrote_is_where_it_leads(
    world: World, store_links: StoreLinks, destination: str, target: str
) -> None:
    (code,) = store_links(Link(destination))
    for _ in range(2):
        assert world.hit(f"/c/{code}")[1]["Location"] == target


def test_more_links_than_are_remembered_lead_where_they_should(world: World) -> None:
    targets = world.front._targets
    targets._kept = 2
    for _ in range(2):
        for index in (0, 2, 1, 0):
            status, headers, _ = world.hit(f"/c/{world.code(4 + index)}")
            assert (status, headers["Location"].endswith(LINKS[index][-3:])) == ("302 Found", index != 1)
    assert len(targets._known) <= 2


@pytest.mark.parametrize("query", ["url=https://evil.example", "to=//evil.example&next=x", "https://evil.example"])
def test_a_query_leads_nowhere(world: World, query: str) -> None:
    assert world.hit(f"/c/{world.code(4)}", QUERY_STRING=query)[1]["Location"] == LINKS[0]
    status, headers, _ = world.hit("/c/nothing", QUERY_STRING=query)
    assert (status, "Location" in headers) == ("404 Not Found", False)
