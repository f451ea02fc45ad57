"""What a word is: the same for who indexes, who asks the index, and who asks MongoDB."""

from __future__ import annotations

import re

import pytest

from app.models.search import LONGEST_KEPT, Word, fold, read_words, unfold, words_of
from app.storage.event_search import _pattern


def test_words_are_letters_and_digits_without_case() -> None:
    assert words_of("Mozilla/5.0 (X11; Linux x86_64)") == {"mozilla", "5", "0", "x11", "linux", "x86", "64"}
    assert words_of("spring-sale_2 ÜBER Straße") == {"spring", "sale", "2", "über", "straße"}
    assert words_of(" -_*") == set()


def test_a_long_word_is_cut_where_nobody_looks() -> None:
    assert words_of("a" * 1_000) == {"a" * LONGEST_KEPT}


def test_every_character_is_found_by_itself_and_by_its_other_case() -> None:
    for code in range(0x80, 0x1F000):
        char = chr(code)
        folded = fold(char)
        assert fold(folded) == folded
        assert char in unfold(folded)
        assert all(fold(one) == folded for one in unfold(folded))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Spring", [Word("spring")]),
        ("spring spring SPRING", [Word("spring")]),
        ("Firefox/128.0", [Word("firefox"), Word("128"), Word("0")]),
        ("fire*", [Word("fire", beginning=True)]),
        ("sale-aut*", [Word("sale"), Word("aut", beginning=True)]),
        ("fi*re", [Word("fi"), Word("re")]),
        ("*fire", [Word("fire")]),
        ("a AND b", [Word("a"), Word("and"), Word("b")]),
    ],
)
def test_text_is_read_as_words_and_nothing_else(text: str, words: list[Word]) -> None:
    assert read_words(text) == tuple(words)


@pytest.mark.parametrize("text", ["", "*", "?!", "fi*", "a" * 65, " ".join(map(str, range(9)))])
def test_what_cannot_be_looked_for_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        read_words(text)
    assert not text or text not in str(refused.value)


@pytest.mark.parametrize("text", ["Spring", "x86_64", "Straße", "5.0", "Ünder*", "fire*", "a.c", "[a]", "K9 ǅ"])
@pytest.mark.parametrize(
    "field",
    ["spring", "SPRING SALE", "offspring", "x86_64", "x86-64", "strasse", "STRAßE", "5.0", "50", "Firefox", "ünders",
     "abc", "a c", "a", "K9", "K9 ǅ"],
)  # fmt: skip
def test_the_pattern_for_mongodb_finds_exactly_the_words_of_the_index(text: str, field: str) -> None:
    kept = words_of(field)
    for word in read_words(text):
        in_index = any(one.startswith(word.text) if word.beginning else one == word.text for one in kept)
        assert bool(re.search(_pattern(word), field)) == in_index
