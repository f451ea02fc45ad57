"""The demo's play: the same with the same seed, complete, and judged by answers as strict as the design's table."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from local.demo.breaks import BREAKS, Sabotage
from local.demo.figures import CLICKED, HUMAN, MACHINE, OPENED, UNSUBSCRIBED
from local.demo.hits import PIXEL, REDIRECT, Answer, Hit, check
from local.demo.mailings import BRANDS, EMAIL, MAILINGS, SMS, Link, Message, drafts, total
from local.demo.players import EMAIL_ROLES, SMS_ROLES, play

GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00;"
HEADERS = {
    "Cache-Control": "no-store, no-cache, must-revalidate, private",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


@pytest.fixture
def messages() -> list[Message]:
    made = []
    for brand in BRANDS:
        for mailing in MAILINGS:
            for index in range(mailing.count):
                code, host = f"{brand[:2]}{mailing.name[:2]}{index:03d}xyz", f"http://t.{brand}.example:8080"
                made.append(
                    Message(
                        id=f"msg_{code}",
                        brand=brand,
                        channel=mailing.channel,
                        pixels={position: f"{host}/o/{code}{position[0]}.gif" for position in mailing.pixels},
                        links=tuple(
                            Link(f"lnk_{place}", f"{host}/c/{code}{place}", f"https://www.{brand}.example{location}")
                            for place, (_, location) in enumerate(mailing.links, start=1)
                        ),
                        unsubscribe_url=f"{host}/u/{code}",
                    )
                )
    return made


def test_300_messages_of_three_brands_and_both_channels_are_registered_in_batches_and_one_by_one() -> None:
    assert total() == 300
    assert len(BRANDS) == 3
    assert {mailing.channel for mailing in MAILINGS} == {EMAIL, SMS}
    sizes = {len(draft["recipients"]) for mailing in MAILINGS for draft in drafts(BRANDS[0], "r", mailing)}
    assert 1 in sizes
    assert max(sizes) > 20


def test_no_two_recipients_of_a_brand_share_an_address() -> None:
    bodies = [draft for mailing in MAILINGS for draft in drafts(BRANDS[0], "r", mailing)]
    addresses = [recipient["address"] for body in bodies for recipient in body["recipients"]]
    assert len(set(addresses)) == len(addresses) == 100


def test_the_same_seed_gives_the_same_play_and_another_seed_another(messages: list[Message]) -> None:
    assert play(Random(7), messages) == play(Random(7), messages)
    assert play(Random(7), messages) != play(Random(8), messages)


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_of_hit_is_played_for_every_brand(messages: list[Message], seed: int) -> None:
    hits = [hit for visit in play(Random(seed), messages) for hit in visit]
    kinds = {
        brand: {hit.what for hit in hits if f".{brand}.example" in hit.url or hit.what.endswith("host")}
        for brand in BRANDS
    }
    assert all(kinds[brand] == {hit.what for hit in hits} for brand in BRANDS)
    for brand in BRANDS:
        events = [hit.event for hit in hits if hit.event is not None and hit.event.brand == brand]
        judged = Counter((event.type, event.verdict) for event in events)
        assert judged.keys() >= {(OPENED, "human"), (OPENED, "proxy"), (OPENED, "machine")}
        assert judged.keys() >= {(CLICKED, "human"), (CLICKED, "machine")}
        assert {event.detail for event in events if event.type == UNSUBSCRIBED} == {"link", "one_click"}


def test_every_role_is_dealt_out_for_each_channel(messages: list[Message]) -> None:
    emails = sum(message.channel == EMAIL and message.brand == BRANDS[0] for message in messages)
    assert emails >= len(EMAIL_ROLES)
    assert 100 - emails >= len(SMS_ROLES)


def test_only_get_and_head_of_right_codes_and_post_of_unsubscribes_are_expected_to_make_events(
    messages: list[Message],
) -> None:
    for hit in (hit for visit in play(Random(7), messages) for hit in visit):
        if hit.event is not None:
            assert hit.answer.status == 503 if _is_ahead(hit) else hit.answer.status in (200, 302)
            assert (hit.method == "POST") == (hit.event.type == UNSUBSCRIBED)
            assert hit.event.counted == (hit.event.verdict != "machine")
            assert hit.method != "HEAD" or not hit.event.counted


def test_only_a_machine_follows_three_links_of_a_message(messages: list[Message]) -> None:
    followed_three = 0
    for visit in play(Random(7), messages):
        links = {verdict: {hit.url.partition("?")[0] for hit in clicks(visit, verdict)} for verdict in (HUMAN, MACHINE)}
        assert len(links[HUMAN]) < 3
        followed_three += len(links[MACHINE]) >= 3 and "Accept-Language" in visit[0].headers
    assert followed_three, "and one of them looks like a person"


def clicks(visit: list[Hit], verdict: str) -> list[Hit]:
    return [hit for hit in visit if hit.event and (hit.event.type, hit.event.verdict) == (CLICKED, verdict)]


def _is_ahead(hit: Hit) -> bool:
    return hit.event is not None and hit.event.type == CLICKED and "Sec-Purpose" in hit.headers


@pytest.mark.parametrize("step", BREAKS)
def test_a_broken_step_changes_one_hit_or_none_of_them(messages: list[Message], step: str) -> None:
    planned = play(Random(7), messages)
    played = Sabotage(step).visits(planned)
    assert planned == play(Random(7), messages), "the plan itself stays as it was"
    changed = [(before, after) for before, after in zip(planned, played, strict=True) if before != after]
    lengths = {"drop-hit": -1, "extra-hit": 1, "wrong-answer": 0}
    assert len(changed) == (1 if step in lengths else 0)
    for before, after in changed:
        assert len(after) - len(before) == lengths[step]


def redirect_hit(method: str = "GET") -> Hit:
    return Hit("click", method, "http://t.example/c/x", Answer(302, REDIRECT, "https://shop.example/?a=1&b=2"))


def test_an_answer_as_designed_passes() -> None:
    located = {**HEADERS, "Location": "https://shop.example/?a=1&b=2"}
    assert check(redirect_hit(), 302, located, b"") is None
    pixel = Hit("open", "GET", "http://t.example/o/x.gif", Answer(200, PIXEL))
    assert check(pixel, 200, {**HEADERS, "Content-Type": "image/gif"}, GIF) is None


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (301, {"Location": "https://shop.example/?a=1&b=2"}, b""),
        (302, {}, b""),
        (302, {"Location": "https://shop.example/?a=1&amp;b=2"}, b""),
        (302, {"Location": "https://shop.example/?a=1&b=2", "Cache-Control": "public"}, b""),
        (302, {"Location": "https://shop.example/?a=1&b=2", "ETag": '"1"'}, b""),
        (302, {"Location": "https://shop.example/?a=1&b=2"}, b"moved"),
    ],
)
def test_a_wrong_answer_to_a_click_is_a_fault(status: int, headers: dict[str, str], body: bytes) -> None:
    assert check(redirect_hit(), status, {**HEADERS, **headers}, body) is not None


@pytest.mark.parametrize("body", [b"", b"GIF89a\x02\x00\x01\x00;", b"\x89PNG\r\n\x1a\n", GIF[:-1]])
def test_what_is_no_gif_of_one_pixel_is_a_fault(body: bytes) -> None:
    pixel = Hit("open", "GET", "http://t.example/o/x.gif", Answer(200, PIXEL))
    assert check(pixel, 200, {**HEADERS, "Content-Type": "image/gif"}, body) is not None


def test_a_head_answer_with_a_body_is_a_fault() -> None:
    located = {**HEADERS, "Location": "https://shop.example/?a=1&b=2"}
    assert check(redirect_hit("HEAD"), 302, located, b"") is None
    assert check(redirect_hit("HEAD"), 302, located, b"x") is not None
