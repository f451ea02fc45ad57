"""The sealed forms: what a token opens, what it never opens, and that no store is needed for either."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.models import record_line
from app.models.block import Channel
from app.models.record import HitKind
from app.storage.suppressions import Suppressions
from app.tracking.tokens import MAX_TOKEN_CHARS, TokenPurpose
from tests.integration.conftest import LINKS, World
from tests.integration.front.conftest import ChangeBrand, Seal
from tests.integration.front.test_front import EVERYWHERE

ANN = "ann@people.example"
PATHS = {TokenPurpose.OPEN: "/o/s/", TokenPurpose.CLICK: "/c/s/", TokenPurpose.UNSUBSCRIBE: "/u/s/"}


def _token(seal: Seal, purpose: TokenPurpose, **fields: str) -> str:
    if purpose is TokenPurpose.CLICK:
        fields = {"destination": LINKS[0], **fields}
    return seal(purpose, **{"reference": "order-1", "address": ANN, **fields})


def _close_stores(world: World) -> None:
    redis.Redis.from_url(world.services.settings.redis_url).flushall()
    world.services.database.client.close()
    world.services.cache.close()


def test_a_sealed_click_leads_to_its_destination(world: World, seal: Seal) -> None:
    token = _token(seal, TokenPurpose.CLICK, destination=LINKS[1])
    for method in ("GET", "HEAD"):
        status, headers, body = world.hit(f"/c/s/{token}", method)
        assert (status, body) == ("302 Found", b"")
        assert headers["Location"] == "https://xn--bcher-kva.alder.example/stra%C3%9Fe"
        assert EVERYWHERE.items() <= headers.items()
    assert [(record.kind, record.token, record.code, record.number, record.method) for record in world.records()] == [
        (HitKind.CLICK, token, "", None, "GET"),
        (HitKind.CLICK, token, "", None, "HEAD"),
    ]


@pytest.mark.parametrize("suffix", ["", ".gif", ".png"])
def test_a_sealed_pixel_is_a_pixel_and_a_record(world: World, seal: Seal, suffix: str) -> None:
    token = _token(seal, TokenPurpose.OPEN)
    assert world.hit(f"/o/s/{token}{suffix}") == world.hit(f"/o/{world.code(1)}")
    first, _ = world.records()
    assert (first.kind, first.token, first.code, first.number) == (HitKind.OPEN, token, "", None)
    assert world.counted == [("open", "recorded")] * 2


def test_looking_at_a_sealed_unsubscribe_changes_nothing_and_is_written_down(world: World, seal: Seal) -> None:
    token = _token(seal, TokenPurpose.UNSUBSCRIBE)
    assert world.hit(f"/u/s/{token}", "HEAD")[0] == "200 OK"
    assert world.hit(f"/u/s/{token}") == world.hit(f"/u/{world.code(2)}")
    kept = [(record.kind, record.method, record.token, record.number) for record in world.records()]
    assert kept == [
        (HitKind.UNSUBSCRIBE, "HEAD", token, None),
        (HitKind.UNSUBSCRIBE, "GET", token, None),
        (HitKind.UNSUBSCRIBE, "GET", "", world.block.start + 2),
    ]
    world.ingest()
    assert world.services.database["suppressions"].count_documents({}) == 0


@pytest.mark.parametrize("scope", ["list", "brand"])
def test_a_sealed_post_suppresses_before_it_is_answered(
    world: World, seal: Seal, change_brand: ChangeBrand, scope: str
) -> None:
    change_brand("alder", unsubscribe={"scope": scope})
    token = _token(seal, TokenPurpose.UNSUBSCRIBE, list_id="news")
    for _ in range(2):
        status, headers, page = world.hit(f"/u/s/{token}", "POST", body=b"List-Unsubscribe=One-Click")
        assert (status, "Location" in headers, b"<form" in page) == ("200 OK", False, False)
    suppressions = Suppressions(world.services.database)
    address_hash = world.services.keyring.address_hash("alder", Channel.EMAIL, " Ann@PEOPLE.example ")
    assert suppressions.covers("alder", address_hash, "news")
    assert suppressions.covers("alder", address_hash, "receipts") is (scope == "brand")
    assert not suppressions.covers("birch", address_hash, "news")
    assert [(record.token, record.headers) for record in world.records()] == [(token, {"form": "one_click"})] * 2
    assert world.services.database["suppressions"].count_documents({}) == 1


def test_a_phone_number_is_suppressed_as_one(world: World, seal: Seal) -> None:
    token = seal(TokenPurpose.UNSUBSCRIBE, address="+4915112345678", channel=Channel.SMS)
    assert world.hit(f"/u/s/{token}", "POST")[0] == "200 OK"
    address_hash = world.services.keyring.address_hash("alder", Channel.SMS, "+49 151 12345678")
    assert Suppressions(world.services.database).covers("alder", address_hash, None)


def test_a_token_without_address_is_an_event_only(world: World, seal: Seal) -> None:
    token = seal(TokenPurpose.UNSUBSCRIBE, reference="order-1")
    assert world.hit(f"/u/s/{token}", "POST")[0] == "200 OK"
    assert world.services.database["suppressions"].count_documents({}) == 0
    assert [record.token for record in world.records()] == [token]


@pytest.fixture
def before(world: World) -> Iterator[None]:
    """At the end nothing was stored: no record, no suppression."""
    yield
    assert world.records() == []
    assert world.services.database["suppressions"].count_documents({}) == 0


def _is_unknown(world: World, path: str, token: str, host: str = "t.alder.example") -> bool:
    """The same answer as for a code that is none, on every method."""
    for method in ("GET", "HEAD", *(["POST"] if path == "/u/s/" else [])):
        answer = world.hit(path + token, method, host=host)
        if answer != world.hit(path[:3] + "garbage!", method, host=host):
            return False
    return True


@pytest.mark.usefixtures("before")
def test_a_token_works_for_its_own_purpose_only(world: World, seal: Seal) -> None:
    for purpose in TokenPurpose:
        token = seal(TokenPurpose.FIELDS, reference="x") if purpose is TokenPurpose.FIELDS else _token(seal, purpose)
        for other, path in PATHS.items():
            if other is not purpose:
                assert _is_unknown(world, path, token)
        for path in ("/o/", "/c/", "/u/"):
            assert _is_unknown(world, path, token)
    assert {outcome for _, outcome in world.counted} == {"unknown", "not_ours"}


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize("purpose", PATHS)
def test_a_token_works_on_its_own_brands_hosts_only(world: World, seal: Seal, purpose: TokenPurpose) -> None:
    _token(seal, purpose, brand_id="birch")  # birch has a key too
    token = _token(seal, purpose)
    for host in ("t.birch.example", "unknown.example", ""):
        assert _is_unknown(world, PATHS[purpose], token, host)


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize("purpose", PATHS)
def test_every_flipped_bit_makes_a_token_unknown(world: World, seal: Seal, purpose: TokenPurpose) -> None:
    token = _token(seal, purpose)
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        flipped = base64.urlsafe_b64encode(bytes(changed)).rstrip(b"=").decode()
        assert _is_unknown(world, PATHS[purpose], flipped)
    for at, bit in ((at, bit) for at in range(len(token)) for bit in range(7)):
        flipped = token[:at] + chr(ord(token[at]) ^ 1 << bit) + token[at + 1 :]
        assert _is_unknown(world, PATHS[purpose], flipped)


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize("purpose", PATHS)
def test_another_way_to_write_a_token_is_unknown(world: World, seal: Seal, purpose: TokenPurpose) -> None:
    # Of a length whose last character has bits to spare, which a lenient reader would ignore.
    token = next(found for n in range(3) if len(found := _token(seal, purpose, reference="x" * (n + 1))) % 4)
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(token[-1])
    spare = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last ^ 1]
    others = [token + "=" * (-len(token) % 4), token + "=", token + "A", token + "\n", token + " ", "A" + token]
    others += [token[:-1], token[1:], token[:-1] + spare, token.swapcase(), token + token, f"s/{token}", f"{token}/"]
    others += [token[:9] + char + token[9:] for char in ("\n", " ", "=", "\x00", "%", ".")]
    others += ["", "A", "A" * 28, "A" * MAX_TOKEN_CHARS, "A" * 10_000]
    if purpose is not TokenPurpose.OPEN:
        others += [token + ".gif"]
    for other in others:
        assert _is_unknown(world, PATHS[purpose], other), other


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(max_size=40) | st.text("ABab01-_.=/", max_size=60))
def test_no_text_is_a_token_by_chance(world: World, text: str) -> None:
    for path in PATHS.values():
        assert _is_unknown(world, path, text)
    assert world.journal_lines() == b""


def test_old_keys_open_until_they_are_retired(world: World, seal: Seal) -> None:
    keys = world.services.token_keys
    old = _token(seal, TokenPurpose.CLICK)
    assert keys.rotate("alder") == 2
    new = _token(seal, TokenPurpose.CLICK)
    assert old != new
    for token in (old, new):
        assert world.hit(f"/c/s/{token}")[0] == "302 Found"
    assert keys.retire("alder", 1)
    assert _is_unknown(world, "/c/s/", old)
    assert ("click", "unknown_key") in world.counted
    assert world.hit(f"/c/s/{new}")[0] == "302 Found"


def test_a_destination_that_is_blocked_now_is_a_page_and_a_record(
    world: World, seal: Seal, change_brand: ChangeBrand
) -> None:
    token = _token(seal, TokenPurpose.CLICK)
    change_brand("alder", links={"blocked_domains": ["alder.example"]})
    status, headers, body = world.hit(f"/c/s/{token}")
    assert (status, "Location" in headers) == ("410 Gone", False)
    assert b"alder" not in body
    assert [(record.token, record.headers) for record in world.records()] == [(token, {"blocked": "1"})]
    assert world.counted == [("click", "blocked")]


def test_tokens_need_no_store_and_codes_that_do_say_so(world: World, seal: Seal) -> None:
    click, opened = _token(seal, TokenPurpose.CLICK), _token(seal, TokenPurpose.OPEN)
    leave = _token(seal, TokenPurpose.UNSUBSCRIBE)
    _close_stores(world)
    assert world.hit(f"/c/s/{click}")[1]["Location"] == LINKS[0]
    assert world.hit(f"/o/s/{opened}.gif")[0] == "200 OK"
    assert world.hit(f"/u/s/{leave}")[0] == "200 OK"
    assert world.hit(f"/c/{world.code(4)}")[0] == "503 Service Unavailable"
    status, headers, _ = world.hit(f"/u/s/{leave}", "POST")
    assert (status, headers["Retry-After"]) == ("503 Service Unavailable", "30")
    kept = [(record.token, record.method) for record in world.records()]
    assert kept == [(click, "GET"), (opened, "GET"), (leave, "GET"), (leave, "POST")], "kept for ingest"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused(world: World, seal: Seal, method: str) -> None:
    for purpose, path in PATHS.items():
        status, headers, _ = world.hit(path + _token(seal, purpose), method)
        assert (status, headers["Allow"][:9]) == ("405 Method Not Allowed", "GET, HEAD")
    assert world.hit(f"/c/s/{_token(seal, TokenPurpose.CLICK)}", "POST")[0] == "405 Method Not Allowed"
    assert world.records() == []


def test_sealed_fields_of_a_pixel_are_kept_when_they_open(world: World, seal: Seal) -> None:
    fields = seal(TokenPurpose.FIELDS, reference="x", metadata={f"key{n}": "v" * 100 for n in range(8)})
    assert len(fields) > 1024
    leads = "&".join(f"lead=L-{n}" for n in range(15))
    wrong = [_token(seal, TokenPurpose.CLICK), seal(TokenPurpose.FIELDS, brand_id="birch", reference="x"), ANN, ""]
    queries = {
        f"p={fields}": f"p={fields}",
        f"lead=L-1&p={fields}&x=y": f"p={fields}&lead=L-1",
        f"p={fields}&{leads}": f"p={fields}&{leads}",
        f"p={fields}&p={fields}": f"p={fields}",
        f"p={fields}A": "",
        f"P={fields}": "",
        **{f"p={token}": "" for token in wrong},
    }
    pixels = [f"/o/{world.code(1)}.gif", f"/o/s/{_token(seal, TokenPurpose.OPEN)}.gif"]
    for pixel in pixels:
        for query in queries:
            assert world.hit(pixel, QUERY_STRING=query)[0] == "200 OK"
    assert [record.query for record in world.records()] == [*queries.values(), *queries.values()]
    world.hit(f"/c/{world.code(4)}", QUERY_STRING=f"p={fields}")
    assert world.records()[-1].query == "", "on a pixel only"
    assert ANN.encode() not in world.journal_lines()


def test_sealed_fields_are_kept_for_a_brand_without_open_ones(
    world: World, seal: Seal, change_brand: ChangeBrand
) -> None:
    fields = seal(TokenPurpose.FIELDS, reference="x")
    change_brand("alder", metadata_keys=[])
    world.hit(f"/o/{world.code(1)}", QUERY_STRING=f"lead=1&p={fields}")
    assert world.records()[0].query == f"p={fields}"


def test_the_longest_tokens_fit_into_a_line(world: World, seal: Seal) -> None:
    value = "v" * 256
    fields = seal(TokenPurpose.FIELDS, metadata={"a": value, "b": value, "c": value, "d": "v" * 240})
    opened = seal(TokenPurpose.OPEN, reference="r", metadata={"a": value, "b": value, "c": value, "d": "v" * 238})
    assert min(len(fields), len(opened)) > MAX_TOKEN_CHARS - 10
    world.hit(f"/o/s/{opened}.gif", QUERY_STRING=f"p={fields}&lead={'%22' * 300}", HTTP_USER_AGENT='"\xff\x01' * 4000)
    (line,) = world.journal_lines().splitlines()
    assert len(line) < record_line.MAX_LINE_BYTES
    record = record_line.decode(line)
    assert record.token == opened
    assert record.query.startswith(f"p={fields}&lead=")
