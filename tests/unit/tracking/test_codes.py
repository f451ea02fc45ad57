"""Codes: a bijection, short, canonical, equal to what the Hashids library makes."""

from __future__ import annotations

import itertools
import secrets

import pytest
from hashids import Hashids
from hypothesis import given
from hypothesis import strategies as st

from app.tracking.codes import ALPHABET, MAX_LENGTH, NUMBER_LIMIT, Codes, Permutation, ShortCode

CODES = Codes(bytes(range(32)))
NUMBERS = st.integers(min_value=0, max_value=NUMBER_LIMIT - 1)


@given(NUMBERS)
def test_every_number_has_one_short_code_that_leads_back(number: int) -> None:
    code = CODES.encode(number)
    assert CODES.decode(code) == number
    assert len(code) <= MAX_LENGTH
    assert not set(code) & set("0O1lI")


@given(NUMBERS)
def test_tables_equal_the_hashids_library(number: int) -> None:
    salt = "any salt"
    library = Hashids(salt=salt, alphabet=ALPHABET)
    ours = ShortCode(salt)
    assert ours.encode(number) == library.encode(number)
    assert ours.decode(library.encode(number)) == number


@given(st.text(alphabet=ALPHABET, min_size=1, max_size=11))
def test_a_text_that_decodes_is_the_canonical_code(text: str) -> None:
    number = CODES.decode(text)
    assert number is None or CODES.encode(number) == text


@given(st.lists(NUMBERS, max_size=30))
def test_many_at_once_equal_one_by_one(numbers: list[int]) -> None:
    codes = CODES.encode_many(numbers)
    assert codes == [CODES.encode(number) for number in numbers]
    assert CODES.decode_many([*codes, "", "garbage!", "é"]) == [*numbers, None, None, None]


@given(NUMBERS)
def test_permutation_stays_inside_and_leads_back(number: int) -> None:
    permutation = Permutation(bytes(16))
    hidden = permutation.forward(number)
    assert 0 <= hidden < NUMBER_LIMIT
    assert permutation.back(hidden) == number


def test_a_hundred_thousand_neighbours_share_no_code_and_show_no_order() -> None:
    codes = CODES.encode_many(range(1_000_000, 1_100_000))
    assert len(set(codes)) == len(codes)
    rising = sum(first < second for first, second in itertools.pairwise(codes))
    assert 0.49 < rising / len(codes) < 0.51


def test_another_key_gives_other_codes() -> None:
    other = Codes(secrets.token_bytes(32))
    assert sum(CODES.encode(number) == other.encode(number) for number in range(1000)) == 0


@pytest.mark.parametrize("text", ["", "a", "0", "O1lI", "x" * 11, "a" * 5000, "grün", "\x00", "a b", "../../etc"])
def test_what_is_no_code_decodes_to_nothing(text: str) -> None:
    assert CODES.decode(text) is None


@pytest.mark.parametrize("number", [-1, NUMBER_LIMIT])
def test_numbers_outside_the_range_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="number"):
        CODES.encode(number)


@given(NUMBERS)
def test_message_ids_lead_back_and_are_no_codes(number: int) -> None:
    message_id = CODES.message_id(number)
    assert CODES.message_number(message_id) == number
    assert CODES.message_number(message_id[4:]) is None
    assert CODES.decode(message_id[4:]) != number
