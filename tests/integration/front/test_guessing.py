"""Codes that nobody gave out: what a guess, a slip or a flood of them gets."""

from __future__ import annotations

import random
import string

import pytest
import redis

from app.tracking.codes import ALPHABET, NUMBER_LIMIT
from tests.integration.conftest import World

_EVENTS = "events"


def _guesses(world: World, number: int) -> list[str]:
    return world.services.codes.encode_many(random.Random(3).sample(range(NUMBER_LIMIT), number))


def _stored(world: World) -> int:
    world.ingest()
    return sum(world.services.database[name].count_documents({}) for name in (_EVENTS, "suppressions"))


def _neighbours(code: str) -> list[str]:
    """Everything one slip away from a code."""
    characters = ALPHABET + "0O1lI" + "/.%~- \x00é" + "?"
    found = {code[:at] + char + code[at + 1 :] for at in range(len(code)) for char in characters}
    found |= {code + char for char in characters} | {char + code for char in characters}
    found |= {code[:at] for at in range(len(code))} | {code[at:] for at in range(1, len(code))}
    found |= {code[:at] + code[at].swapcase() + code[at + 1 :] for at in range(len(code))}
    found |= {code.swapcase(), code.upper(), code.lower(), code[::-1], code * 2, f"s/{code}", f"{code}/", f"../{code}"}
    # A full stop behind it is let pass, see below.
    return sorted(found - {code, f"{code}."})


@pytest.mark.parametrize(("path", "slot"), [("/c/", 4), ("/u/", 2), ("/o/", 1)])
def test_every_slip_of_a_code_is_unknown_looks_the_same_and_stores_nothing(world: World, path: str, slot: int) -> None:
    neighbours = _neighbours(world.code(slot))
    assert len(neighbours) > 700
    answers = set()
    for index, code in enumerate(neighbours):
        for method in ("GET", "POST") if path == "/u/" else ("GET",):
            # Everyone comes from somewhere else, so nobody has to wait.
            status, headers, body = world.hit(path + code, method, REMOTE_ADDR=f"10.0.{index >> 8}.{index & 255}")
            answers.add((status, tuple(sorted(headers.items())), body))
    ((status, _, _),) = answers
    assert status == ("200 OK" if path == "/o/" else "404 Not Found")
    assert {outcome for _, outcome in world.counted} <= {"unknown", "recorded"}
    assert _stored(world) == 0


def test_the_full_stop_of_a_sentence_does_not_break_its_link(world: World) -> None:
    assert world.hit(f"/c/{world.code(4)}.", host="T.ALDER.EXAMPLE.")[0] == "302 Found"
    assert world.hit(f"/u/{world.code(2)}.")[0] == "200 OK"
    assert [record.code for record in world.records()] == [world.code(4), world.code(2)]
    for code in (f"{world.code(4)}..", f".{world.code(4)}", f"{world.code(4)},", "."):
        assert world.hit(f"/c/{code}")[0] == "404 Not Found"


def test_a_code_of_another_brand_and_one_of_nobody_get_the_same_answer(world: World) -> None:
    (nobodys,) = _guesses(world, 1)
    for path, slot in (("/c/", 4), ("/u/", 2), ("/o/", 1)):
        answers = [world.hit(path + code, host="t.birch.example") for code in (world.code(slot), nobodys, "garbage!")]
        assert answers[0] == answers[1] == answers[2]
    assert _stored(world) == 0


def test_a_flood_of_guesses_is_slowed_down_without_asking_a_store(world: World) -> None:
    guesses = _guesses(world, 60)
    world.hit(f"/c/{world.code(4)}", REMOTE_ADDR="203.0.113.9")  # its block is in memory now
    for code in guesses[:30]:
        assert world.hit(f"/c/{code}")[0] == "404 Not Found"
    # Whoever asks a store now is told that there is none.
    world.services.database.client.close()
    redis.Redis.from_url(world.services.settings.redis_url).flushall()
    for path, method in (("/c/", "GET"), ("/c/", "HEAD"), ("/u/", "GET"), ("/u/", "POST")):
        status, headers, body = world.hit(path + guesses[40], method)
        assert status == "429 Too Many Requests"
        assert int(headers["Retry-After"]) >= 1
        assert headers["Cache-Control"].startswith("no-store")
        assert (body == b"") is (method == "HEAD")
    assert world.counted[-1] == ("unsubscribe", "limited")
    # What is in memory is answered as always, to this client too; pixels always are.
    assert world.hit(f"/c/{world.code(4)}")[0] == "302 Found"
    assert world.hit(f"/u/{world.code(2, message=3)}")[0] == "200 OK"
    assert world.hit(f"/o/{guesses[41]}")[0] == "200 OK"
    # Another client is asked for nothing but what there is.
    assert world.hit(f"/c/{guesses[42]}", REMOTE_ADDR="203.0.113.9")[0] == "503 Service Unavailable"


def test_real_codes_are_no_guesses(world: World) -> None:
    world.services.database.client  # noqa: B018 - connected
    cache = world.services.block_cache
    for index in range(60):
        cache._by_start.clear()
        cache._starts.clear()
        assert world.hit(f"/c/{world.code(4, message=index % 20)}")[0] == "302 Found"


def test_asking_for_what_is_no_code_at_all_costs_nothing_and_is_no_guess(world: World) -> None:
    for index in range(100):
        assert world.hit(f"/c/{string.ascii_letters[index % 52]}-{index}")[0] == "404 Not Found"
    assert world.hit(f"/c/{_guesses(world, 1)[0]}")[0] == "404 Not Found"


def test_guessing_other_peoples_codes_on_ones_own_host_is_slowed_down_too(world: World) -> None:
    cache = world.services.block_cache
    answers = []
    for index in range(40):
        cache._by_start.clear()
        cache._starts.clear()
        answers.append(world.hit(f"/c/{world.code(4, message=index % 20)}", host="t.birch.example")[0])
    assert answers == ["404 Not Found"] * 30 + ["429 Too Many Requests"] * 10
