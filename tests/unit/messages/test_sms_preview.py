"""What `POST /v1/messages` and `POST /v1/links` say of an SMS before anything is sent."""

from __future__ import annotations

import pytest

from app.messages.sms_preview import SmsWarning, preview
from app.tracking.codes import ALPHABET, MAX_LENGTH

LONG_URL = "https://shop.example/sale"  # 25 characters
OUR_URL = "https://links.shops-and-more.example/c/" + "w" * MAX_LENGTH  # a long host of its own


def test_a_link_that_moves_158_to_182_characters_makes_two_segments() -> None:
    words = "a" * (157 - len(LONG_URL))
    before = f"{words} {LONG_URL}"
    after = before.replace(LONG_URL, OUR_URL)
    assert (len(before), len(after)) == (158, 182)
    told = preview(before, after)
    assert (told.before.segments, told.after.segments) == (1, 2)
    assert (told.before.units, told.after.units) == (158, 182)
    assert (told.after.encoding, told.after.units_left) == ("GSM-7", 306 - 182)
    assert told.warnings == (SmsWarning.LINK_ADDS_SEGMENT,)
    assert told.warnings == ("link_adds_segment",)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a" * 182, "a" * 158),  # saves one
        ("a" * 158, "a" * 160),
        ("a" * 161, "a" * 306),
        ("", ""),
    ],
)
def test_a_link_that_adds_no_segment_is_not_warned_of(before: str, after: str) -> None:
    assert preview(before, after).warnings == ()


def test_a_code_never_needs_more_than_one_septet_a_character() -> None:
    assert preview("", f"https://t.shop.example/c/{ALPHABET}").after.units == 25 + len(ALPHABET)


def test_a_tilde_in_the_authors_link_counts_twice() -> None:
    told = preview("a" * 140 + "https://a.example/~b", "a" * 140 + "https://t.example/cd")
    assert (told.before.units, told.before.segments) == (161, 2)
    assert (told.after.units, told.after.segments) == (160, 1)


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("Today: 20 % off – be quick", ("–",)),
        ("It’s “sale” time 😀😀", ("’", "“", "”", "😀")),
        ("Sprzedaż: każdą książkę", ("ż", "ą", "ę")),
        ("S\u0430le", ("\u0430",)),  # one Cyrillic letter among Latin ones
        ("a\u00a0b", ("\u00a0",)),
    ],
)
def test_a_few_characters_outside_the_gsm_alphabet_are_named(text: str, characters: tuple[str, ...]) -> None:
    told = preview(text, text)
    assert (told.warnings, told.not_gsm) == ((SmsWarning.NOT_GSM_CHARACTERS,), characters)


@pytest.mark.parametrize(
    "text", ["Сегодня скидка на все книги", "今日は全品二割引、お早めにどうぞ", "Grüße aus Köln: 20 €"]
)
def test_another_script_and_plain_gsm_are_not_warned_of(text: str) -> None:
    assert preview(text, text).warnings == ()
    assert preview(text, text).not_gsm == ()


def test_what_the_author_wrote_in_a_link_does_not_matter_once_it_is_ours() -> None:
    told = preview("See https://日本.example/", "See https://t.shop.example/c/abc")
    assert (told.before.encoding, told.after.encoding) == ("UCS-2", "GSM-7")
    assert (told.warnings, told.not_gsm) == ((), ())


def test_more_segments_than_a_message_can_have_is_too_long() -> None:
    assert preview("a" * 153 * 255, "a" * 153 * 255).warnings == ()
    told = preview("a" * 153 * 255, "a" * (153 * 255 + 1))
    assert told.warnings == (SmsWarning.LINK_ADDS_SEGMENT, SmsWarning.TOO_LONG)
