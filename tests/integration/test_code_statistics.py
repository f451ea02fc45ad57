"""What the size of a deployment does to codes: ten million of them, and a million guesses at as many recipients."""

from __future__ import annotations

import base64
import itertools
import multiprocessing
import random
import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor

import pytest

from app.models.block import FIRST_LINK_SLOT
from app.tracking.codes import ALPHABET, MAX_LENGTH, NUMBER_LIMIT, Codes

CODE_KEY = bytes(range(32))
CODES = 10_000_000
GUESSES = 1_000_000
RECIPIENTS = 10_000_000
STRIDE = FIRST_LINK_SLOT + 5
"""Of an ordinary letter: five links."""
START = 123 << 20
_CHUNK = 100_000
_BUCKETS = 256
_BLANK = "-"
# A character of a code as one of base64's: six bits.
_SIX_BITS = str.maketrans(
    ALPHABET + _BLANK, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[: len(ALPHABET) + 1]
)


def packed_codes(numbers: range) -> bytes:
    """The codes of these numbers, each as eight bytes: exact, since ten characters of 58 take 60 bits. Their length and
    their letters are looked at on the way."""
    codes, letters = Codes(CODE_KEY), set(ALPHABET)
    packed = array("Q")
    for first in range(numbers.start, numbers.stop, _CHUNK):
        found = codes.encode_many(range(first, min(first + _CHUNK, numbers.stop)))
        assert max(map(len, found)) <= MAX_LENGTH
        assert letters.issuperset("".join(found))
        text = "".join([code.ljust(12, _BLANK) for code in found]).translate(_SIX_BITS)
        packed.extend(value for (value,) in struct.iter_unpack(">Qx", base64.b64decode(text, validate=True)))
    return packed.tobytes()


@pytest.mark.slow
def test_ten_million_codes_are_ten_million_different_short_texts() -> None:
    numbers = range(START, START + CODES)
    parts = [numbers[first : first + CODES // 8] for first in range(0, CODES, CODES // 8)]
    # By value, so that one set holds a part of all codes only: all at once would take a gigabyte.
    buckets = [array("Q") for _ in range(_BUCKETS)]
    appends = [bucket.append for bucket in buckets]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as workers:
        for packed in workers.map(packed_codes, parts):
            for value in memoryview(packed).cast("Q"):
                appends[(value >> 10) & (_BUCKETS - 1)](value)
    assert sum(len(set(bucket)) for bucket in buckets) == CODES


@pytest.fixture(scope="module")
def codes() -> Codes:
    return Codes(CODE_KEY)


@pytest.fixture(scope="module")
def blocks() -> list[range]:
    """The numbers of ten million recipients: campaigns of all sizes one behind the other, and gaps where a Redis was
    replaced."""
    chance = random.Random(10)
    found: list[range] = []
    start, left = START, RECIPIENTS
    while left:
        count = min(left, chance.choice((1, 50, 1000, 20_000, 300_000)))
        found.append(range(start, start + count * STRIDE))
        start += count * STRIDE + chance.choice((0, 0, 0, 1 << 20))
        left -= count
    return found


def test_a_million_wellformed_guesses_at_ten_million_recipients_hit_fewer_than_five(
    codes: Codes, blocks: list[range]
) -> None:
    assert sum(len(block) for block in blocks) == RECIPIENTS * STRIDE
    letters, ends = _what_codes_look_like(codes)
    chance = random.Random(1)
    guessed: set[int] = set()
    while len(guessed) < GUESSES:
        guesses = [
            first + "".join(chance.choices(letters, k=MAX_LENGTH - 3)) + last
            for first, last in chance.choices(ends, k=min(_CHUNK, GUESSES - len(guessed)))
        ]
        guessed.update(number for number in codes.decode_many(guesses) if number is not None)
    # As even as chance: a quarter in each quarter of all numbers.
    for quarter in range(4):
        share = sum(number * 4 // NUMBER_LIMIT == quarter for number in guessed) / GUESSES
        assert 0.248 < share < 0.252
    assert _hits(guessed, blocks) < 5


def test_real_codes_with_a_letter_changed_hit_hardly_anybody(codes: Codes, blocks: list[range]) -> None:
    chance = random.Random(2)
    letters, _ = _what_codes_look_like(codes)
    real = codes.encode_many([chance.choice(blocks[chance.randrange(len(blocks))]) for _ in range(2000)])
    changed = {
        code[:place] + letter + code[place + 1 :] for code in real for place in range(len(code)) for letter in letters
    }
    found = {number for number in codes.decode_many(sorted(changed - set(real))) if number is not None}
    assert len(found) > 10_000
    assert _hits(found, blocks) < 5


def _what_codes_look_like(codes: Codes) -> tuple[list[str], list[tuple[str, str]]]:
    """What somebody learns who has seen many codes: the letters in use, and which first letter goes with which last two
    (Hashids' first letter follows from the number modulo 100). Guesses that respect it are all well-formed."""
    letters = sorted(set("".join(codes.encode_many(range(1000)))))
    tries = [
        (first, one + other, first + lead * (MAX_LENGTH - 3) + one + other)
        for first, one, other in itertools.product(letters, repeat=3)
        for lead in letters[:2]  # one of the two may be this first letter's zero
    ]
    numbers = codes.decode_many([text for _, _, text in tries])
    ends = {(first, last) for (first, last, _), number in zip(tries, numbers, strict=True) if number is not None}
    assert len(letters) == 40
    assert len(ends) == len(letters) ** 2
    return letters, sorted(ends)


def _hits(numbers: Iterable[int], blocks: Sequence[range]) -> int:
    starts = [block.start for block in blocks]
    # The range below the first block is none: an index of -1 would be the last block, which cannot hold the number.
    return sum(number in blocks[bisect_right(starts, number) - 1] for number in numbers)
