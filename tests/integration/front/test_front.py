"""The front: what it answers, what it journals, and what it never does."""

from __future__ import annotations

import io

import pytest
import redis
from PIL import Image

from app.models.record import HitKind
from app.storage.suppressions import Suppressions
from tests.integration.conftest import LINKS, World

EVERYWHERE = {
    "Cache-Control": "no-store, no-cache, must-revalidate, private",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


def test_a_pixel_is_a_transparent_dot_and_one_record(world: World) -> None:
    status, headers, body = world.hit(f"/o/{world.code(1)}.gif")
    assert status == "200 OK"
    image = Image.open(io.BytesIO(body))
    assert image.size == (1, 1)
    assert image.convert("RGBA").getpixel((0, 0))[3] == 0
    assert headers["Content-Length"] == str(len(body))
    assert headers["Content-Type"] == "image/gif"
    assert EVERYWHERE.items() <= headers.items()
    assert "ETag" not in headers
    (record,) = world.records()
    assert (record.kind, record.code, record.host, record.client) == (
        HitKind.OPEN,
        world.code(1),
        "t.alder.example",
        "192.0.2.77",
    )
    assert world.counted == [("open", "recorded")]


@pytest.mark.parametrize("suffix", ["", ".gif", ".png"])
def test_a_pixel_may_have_an_ending(world: World, suffix: str) -> None:
    assert world.hit(f"/o/{world.code(0)}{suffix}")[0] == "200 OK"
    assert world.records()[0].code == world.code(0)


@pytest.mark.parametrize("code", ["", "x", "garbage!", "é", "a" * 10_000, "..", "0O1lI", "\x00", "<b>"])
def test_a_code_that_is_none_gets_the_pixel_or_a_404_and_no_record(world: World, code: str) -> None:
    assert world.hit(f"/o/{code}")[0] == "200 OK"
    for path in ("/c/", "/u/"):
        status, headers, body = world.hit(path + code)
        assert status == "404 Not Found"
        assert "Location" not in headers
        assert code not in body.decode() or code in ("", "x", "..")
    assert world.records() == []


@pytest.mark.parametrize(
    ("index", "target"),
    [(0, LINKS[0]), (1, "https://xn--bcher-kva.alder.example/stra%C3%9Fe"), (2, LINKS[2])],
)
def test_a_click_leads_where_its_author_wrote(world: World, index: int, target: str) -> None:
    status, headers, body = world.hit(f"/c/{world.code(4 + index)}")
    assert (status, headers["Location"], body) == ("302 Found", target, b"")
    assert EVERYWHERE.items() <= headers.items()
    assert [record.kind for record in world.records()] == [HitKind.CLICK]


def test_a_query_never_changes_where_a_click_leads(world: World) -> None:
    _, headers, _ = world.hit(f"/c/{world.code(4)}", QUERY_STRING="url=https://evil.example&next=//evil.example")
    assert headers["Location"] == LINKS[0]


def test_another_brands_host_knows_nothing_of_the_code(world: World) -> None:
    world.hit(f"/c/{world.code(4)}")  # now its block is cached
    before = len(world.records())
    for host in ("t.birch.example", "unknown.example", ""):
        assert world.hit(f"/c/{world.code(4)}", host=host)[0] == "404 Not Found"
        assert world.hit(f"/u/{world.code(2)}", host=host)[0] == "404 Not Found"
        assert world.hit(f"/u/{world.code(2)}", "POST", host=host)[0] == "404 Not Found"
        assert world.hit(f"/o/{world.code(1)}", host=host)[0] == "200 OK"
    assert len(world.records()) == before


def test_the_host_may_carry_port_capitals_and_a_final_dot(world: World) -> None:
    for host in ("T.Alder.Example", "t.alder.example:8080", "t.alder.example."):
        assert world.hit(f"/c/{world.code(4)}", host=host)[0] == "302 Found"


@pytest.mark.parametrize(("path", "slot"), [("/c/", 0), ("/c/", 1), ("/c/", 2), ("/c/", 3), ("/u/", 0), ("/u/", 4)])
def test_a_code_works_for_its_own_purpose_only(world: World, path: str, slot: int) -> None:
    assert world.hit(path + world.code(slot))[0] == "404 Not Found"
    assert world.records() == []


def test_head_is_recorded_as_head_and_has_no_body(world: World) -> None:
    assert world.hit(f"/o/{world.code(1)}", "HEAD")[2] == b""
    status, headers, body = world.hit(f"/c/{world.code(4)}", "HEAD")
    assert (status, headers["Location"], body) == ("302 Found", LINKS[0], b"")
    assert [record.method for record in world.records()] == ["HEAD", "HEAD"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get"])
def test_other_methods_are_refused(world: World, method: str) -> None:
    for path, slot in (("/o/", 1), ("/c/", 4), ("/u/", 2)):
        status, headers, _ = world.hit(path + world.code(slot), method)
        assert status == "405 Method Not Allowed"
        assert headers["Allow"].startswith("GET, HEAD")
    assert world.hit(f"/c/{world.code(4)}", "POST")[0] == "405 Method Not Allowed"
    assert world.records() == []


def test_looking_at_the_unsubscribe_page_changes_nothing_and_is_written_down(world: World) -> None:
    for method in ("GET", "HEAD"):
        assert world.hit(f"/u/{world.code(2)}.", method)[0] == "200 OK"
    assert b"<form method=" in world.hit(f"/u/{world.code(2)}", HTTP_SEC_PURPOSE="prefetch")[2]
    assert [(record.kind, record.method, record.number, record.headers) for record in world.records()] == [
        (HitKind.UNSUBSCRIBE, "GET", world.block.start + 2, {}),
        (HitKind.UNSUBSCRIBE, "HEAD", world.block.start + 2, {}),
        (HitKind.UNSUBSCRIBE, "GET", world.block.start + 2, {"purpose": "prefetch"}),
    ]
    assert world.counted == [("unsubscribe", "page")] * 3
    world.ingest()
    assert world.services.database["suppressions"].count_documents({}) == 0
    assert world.services.database["deliveries"].count_documents({}) == 0


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (b"List-Unsubscribe=One-Click", "one_click"),
        (b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--', "one_click"),
        (b"", "link"),
        (b"anything", "link"),
    ],
)
def test_a_post_unsubscribes_before_it_is_answered(world: World, body: bytes, form: str) -> None:
    status, headers, page = world.hit(f"/u/{world.code(2)}", "POST", body=body)
    assert status == "200 OK"
    assert "Location" not in headers
    assert b"<form" not in page
    suppressions = Suppressions(world.services.database)
    address_hash = world.services.messages.get(world.number()).address_hash  # type: ignore[union-attr]
    assert suppressions.covers("alder", address_hash, "news")
    assert not suppressions.covers("alder", address_hash, "receipts")
    assert not suppressions.covers("birch", address_hash, "news")
    assert [record.headers["form"] for record in world.records()] == [form]


def test_a_huge_unsubscribe_body_is_not_read_to_the_end(world: World) -> None:
    assert world.hit(f"/u/{world.code(2)}", "POST", body=b"x" * 5_000_000)[0] == "200 OK"
    assert world.hit(f"/u/{world.code(2)}", "POST", body=b"x", CONTENT_LENGTH="-5")[0] == "200 OK"
    assert world.hit(f"/u/{world.code(2)}", "POST", body=b"x", CONTENT_LENGTH="many")[0] == "200 OK"


def test_prefetch_is_served_and_said_in_the_record(world: World) -> None:
    assert world.hit(f"/o/{world.code(1)}", HTTP_SEC_PURPOSE="prefetch;prerender")[0] == "200 OK"
    for header, value in (("PURPOSE", "prefetch"), ("X_MOZ", "prefetch"), ("X_PURPOSE", "preview")):
        assert world.hit(f"/c/{world.code(4)}", **{f"HTTP_{header}": value})[1]["Location"] == LINKS[0]
    assert [record.headers["purpose"] for record in world.records()] == [
        "prefetch,prerender",
        "prefetch",
        "prefetch",
        "preview",
    ]


@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip"])
def test_a_browser_that_loads_a_link_ahead_gets_nothing_to_keep(world: World, purpose: str) -> None:
    """See tests/browser/test_prefetch.py for what it would do with a redirect."""
    for method in ("GET", "HEAD"):
        status, headers, _ = world.hit(f"/c/{world.code(4)}", method, HTTP_SEC_PURPOSE=purpose)
        assert (status, "Location" in headers) == ("503 Service Unavailable", False)
        assert EVERYWHERE.items() <= headers.items()
    assert world.counted == [("click", "recorded")] * 2
    assert all(record.headers["purpose"].startswith("prefetch") for record in world.records())
    assert world.hit(f"/c/{world.code(4)}", HTTP_SEC_PURPOSE="")[1]["Location"] == LINKS[0]


def test_only_allowed_query_fields_reach_the_journal(world: World) -> None:
    world.hit(f"/o/{world.code(1)}", QUERY_STRING="lead=L-1&email=ann@people.example&lead=L-2")
    world.hit(f"/o/{world.code(1)}", QUERY_STRING="&".join(f"lead={number}" for number in range(500)))
    assert [record.query for record in world.records()] == ["lead=L-1&lead=L-2", ""]
    assert b"ann" not in world.journal_lines()


def test_a_hit_that_nginx_gave_to_a_second_worker_keeps_its_id(world: World) -> None:
    hit = "1763761234.567-0123456789abcdef0123456789abcdef"
    for _ in range(2):
        world.hit(f"/o/{world.code(1)}", TELLTALE_HIT=hit)
    first, second = world.records()
    assert first.id == second.id
    assert first.at_ms == 1_763_761_234_567
    assert first.id.hex() == f"{1_763_761_234_567:012x}0123456789abcdef0123"
    world.hit(f"/o/{world.code(1)}", TELLTALE_HIT="not a number - at all, but long enough to be looked at by us")
    assert len({record.id for record in world.records()}) == 2


def test_a_cached_link_needs_no_store(world: World) -> None:
    assert world.hit(f"/c/{world.code(4)}")[0] == "302 Found"
    world.services.database.client.close()
    assert world.hit(f"/c/{world.code(5, message=7)}")[0] == "302 Found"
    assert world.hit(f"/u/{world.code(2, message=7)}")[0] == "200 OK"
    assert world.hit(f"/o/{world.code(1, message=7)}")[0] == "200 OK"


def test_redis_answers_for_mongodb(world: World) -> None:
    world.hit(f"/c/{world.code(4)}")
    cache = world.services.block_cache
    cache._by_start.clear()
    cache._starts.clear()
    world.services.database.client.close()
    assert world.hit(f"/c/{world.code(4)}")[0] == "302 Found"


def test_without_any_store_an_unknown_link_is_unavailable_and_an_unsubscribe_is_kept(world: World) -> None:
    redis.Redis.from_url(world.services.settings.redis_url).flushall()
    world.services.database.client.close()
    status, headers, _ = world.hit(f"/c/{world.code(4)}")
    assert (status, headers["Retry-After"]) == ("503 Service Unavailable", "30")
    assert world.hit(f"/o/{world.code(1)}")[0] == "200 OK"
    assert world.hit(f"/u/{world.code(2)}", "POST")[0] == "503 Service Unavailable"
    assert [record.kind for record in world.records()] == [HitKind.OPEN, HitKind.UNSUBSCRIBE]


def test_everything_else_goes_to_flask(world: World) -> None:
    for path in ("/", "/v1/messages", "/o", "/healthz", "/other/o/x", ""):
        assert world.hit(path)[2] == b"flask"
    assert world.passed_on == ["/", "/v1/messages", "/o", "/healthz", "/other/o/x", ""]


def test_a_webhook_of_ours_that_comes_back_to_us_unsubscribes_nobody(world: World) -> None:
    path, body = f"/u/{world.code(2)}", b"List-Unsubscribe=One-Click"
    status, _, _ = world.hit(path, "POST", body=body, HTTP_X_TELLTALE_BRAND="alder")
    assert status == "508 Loop Detected"
    assert (world.records(), world.counted) == ([], [("unsubscribe", "loop")])
    assert world.hit(path, "POST", body=body)[0] == "200 OK"
