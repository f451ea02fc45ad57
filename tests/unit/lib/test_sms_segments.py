"""How many SMS a text becomes, against known figures, the standard's code table and a packer that tries everything."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.lib.sms_segments import MAX_SEGMENTS, count_segments

# TS 23.038 section 6.2.1 written a second time, another way: septet → code point, only where it is not ASCII's own.
STANDARD_BASIC = {
    **{code: code for code in range(0x20, 0x80)},
    **dict(zip(range(0x00, 0x08), (0x40, 0xA3, 0x24, 0xA5, 0xE8, 0xE9, 0xF9, 0xEC), strict=True)),
    **dict(zip(range(0x08, 0x10), (0xF2, 0xC7, 0x0A, 0xD8, 0xF8, 0x0D, 0xC5, 0xE5), strict=True)),
    **dict(zip(range(0x10, 0x18), (0x394, 0x5F, 0x3A6, 0x393, 0x39B, 0x3A9, 0x3A0, 0x3A8), strict=True)),
    **dict(zip(range(0x18, 0x20), (0x3A3, 0x398, 0x39E, None, 0xC6, 0xE6, 0xDF, 0xC9), strict=True)),
    **{0x24: 0xA4, 0x40: 0xA1, 0x60: 0xBF},
    **dict(zip(range(0x5B, 0x60), (0xC4, 0xD6, 0xD1, 0xDC, 0xA7), strict=True)),
    **dict(zip(range(0x7B, 0x80), (0xE4, 0xF6, 0xF1, 0xFC, 0xE0), strict=True)),
}
STANDARD_EXTENSION = {
    **{0x0A: 0x0C, 0x14: 0x5E, 0x28: 0x7B, 0x29: 0x7D, 0x2F: 0x5C},
    **{0x3C: 0x5B, 0x3D: 0x7E, 0x3E: 0x5D, 0x40: 0x7C, 0x65: 0x20AC},
}
BASIC = {chr(point) for point in STANDARD_BASIC.values() if point is not None}
EXTENSION = {chr(point) for point in STANDARD_EXTENSION.values()}


def figures(text: str) -> tuple[str, int, int]:
    counted = count_segments(text)
    return counted.encoding, counted.units, counted.segments


def test_the_alphabet_is_the_standards() -> None:
    assert (len(BASIC), len(EXTENSION)) == (127, 10)
    for point in range(0x11000):
        if 0xD800 <= point < 0xE000:
            continue
        char = chr(point)
        if char in BASIC:
            assert figures(char) == ("GSM-7", 1, 1), hex(point)
        elif char in EXTENSION:
            assert figures(char) == ("GSM-7", 2, 1), hex(point)
        else:
            assert figures(char) == ("UCS-2", len(char.encode("utf-16-le")) // 2, 1), hex(point)
            assert count_segments(char).not_gsm == (char,)


@pytest.mark.parametrize(
    ("text", "units", "segments", "units_per_segment", "units_left"),
    [
        ("", 0, 1, 160, 160),
        ("a" * 159, 159, 1, 160, 1),
        ("a" * 160, 160, 1, 160, 0),
        ("a" * 161, 161, 2, 153, 145),
        ("a" * 306, 306, 2, 153, 0),
        ("a" * 307, 307, 3, 153, 152),
        ("ä" * 66, 66, 1, 160, 94),
        ("ä" * 160, 160, 1, 160, 0),
        ("€" * 80, 160, 1, 160, 0),
        ("€" * 81, 162, 2, 153, 153 - 10),  # 76 of them in the first, an empty septet, 5 in the second
        ("a" * 159 + "€", 161, 2, 153, 145),
        ("a" * 151 + "€" + "a" * 153, 306, 2, 153, 0),
        ("a" * 152 + "€" + "a" * 151, 305, 2, 153, 0),  # the pair does not fit into the first: a septet stays empty
        ("a" * 152 + "€" + "a" * 152, 306, 3, 153, 152),
        ("a" * 305 + "€", 307, 3, 153, 151),
        ("\r\n" * 80, 160, 1, 160, 0),
        ("\n" * 160, 160, 1, 160, 0),
        ("\r\n" * 81, 162, 2, 153, 144),
        ("\f" * 80, 160, 1, 160, 0),
    ],
)
def test_gsm_text_is_counted_in_septets(
    text: str, units: int, segments: int, units_per_segment: int, units_left: int
) -> None:
    counted = count_segments(text)
    assert (counted.units, counted.segments) == (units, segments)
    assert (counted.units_per_segment, counted.units_left) == (units_per_segment, units_left)
    assert (counted.encoding, counted.not_gsm) == ("GSM-7", ())


@pytest.mark.parametrize(
    ("text", "units", "segments", "units_left"),
    [
        ("я" * 70, 70, 1, 0),
        ("я" * 71, 71, 2, 63),
        ("я" * 134, 134, 2, 0),
        ("я" * 135, 135, 3, 66),
        ("a" * 69 + "ç", 70, 1, 0),
        ("😀" * 35, 70, 1, 0),
        ("😀" * 36, 72, 2, 61),  # 33 pairs and an empty unit, then 3 pairs
        ("я" * 66 + "😀" + "я" * 65, 133, 2, 0),
        ("я" * 66 + "😀" + "я" * 66, 134, 3, 66),
        ("я" * 65 + "😀" + "я" * 67, 134, 2, 0),
        ("€" * 70 + "я", 71, 2, 63),  # one unit each here
    ],
)
def test_other_text_is_counted_in_utf16_units(text: str, units: int, segments: int, units_left: int) -> None:
    counted = count_segments(text)
    assert (counted.encoding, counted.units, counted.segments, counted.units_left) == (
        "UCS-2",
        units,
        segments,
        units_left,
    )


@pytest.mark.parametrize(
    "char", list("`´‘’“”–…•çÁíóúŁşğ\t\x00\x1b\x7f\xa0\xad\u0308\u200b\u200d\u202f\ufeff\u0391\u2126①😀🇩")
)
def test_characters_that_look_harmless_need_ucs2_and_are_named(char: str) -> None:
    counted = count_segments(f"Sale {char} today")
    assert (counted.encoding, counted.not_gsm) == ("UCS-2", (char,))


def test_a_decomposed_umlaut_is_not_in_the_alphabet() -> None:
    assert count_segments("a\u0308").not_gsm == ("\u0308",)


def test_at_most_ten_characters_are_named_once_each_in_order() -> None:
    assert count_segments("ęa" * 50 + "żę").not_gsm == ("ę", "ż")
    assert count_segments("абвгдежзиклм").not_gsm == tuple("абвгдежзик")


@pytest.mark.parametrize("text", ["\ud83d", "a\ude00", "\ude00\ud83d", "😀" * 40 + "\ud83d"])
def test_half_of_a_surrogate_pair_is_refused_without_quoting_the_text(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        count_segments(text)
    assert caught.value.args == ("has half of a surrogate pair",)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(("char", "size"), [("a", 153), ("я", 67)])
def test_255_segments_is_the_most_a_message_can_have(char: str, size: int) -> None:
    longest = count_segments(char * size * MAX_SEGMENTS)
    assert (longest.segments, longest.units_left, longest.too_long) == (255, 0, False)
    over = count_segments(char * (size * MAX_SEGMENTS + 1))
    assert (over.segments, over.too_long) == (256, True)


TEXTS = st.one_of(
    st.text(st.sampled_from("a€~ß"), max_size=700),
    st.text(st.sampled_from("a€я😀"), max_size=400),
    st.builds("{}{}{}".format, st.text("a", min_size=140, max_size=170), st.text("€a", max_size=8), st.text("a")),
    st.builds("{}{}{}".format, st.text("я", min_size=60, max_size=75), st.text("😀я", max_size=8), st.text("я")),
    st.text(max_size=300),
)


def pieces_of(text: str) -> tuple[list[int], int, int]:
    """What may not be cut, by the standard's table: widths, and the sizes of a single and of a joined segment."""
    if set(text) <= BASIC | EXTENSION:
        return [2 if char in EXTENSION else 1 for char in text], 160, 153
    return [2 if ord(char) > 0xFFFF else 1 for char in text], 70, 67


def fewest_segments(text: str) -> int:
    """Tries every place where a segment could end, instead of packing in order."""
    widths, single, joined = pieces_of(text)
    if sum(widths) <= single:
        return 1

    @cache
    def fewest(end: int) -> int:
        best, size = end + 1, 0
        for start in range(end - 1, -1, -1):
            size += widths[start]
            if size > joined:
                break
            best = min(best, 1 + fewest(start))
        return best if end else 0

    for end in range(0, len(widths), 50):  # from the front, so that it does not recurse deeply
        fewest(end)
    return fewest(len(widths))


@given(TEXTS)
@example("a" * 152 + "€")
@example("€" * 153)
@example("😀" * 67)
def test_no_other_way_to_cut_needs_fewer_segments(text: str) -> None:
    counted = count_segments(text)
    assert counted.segments == fewest_segments(text)
    assert counted.units == sum(pieces_of(text)[0])


@given(TEXTS)
def test_units_left_is_exactly_what_still_fits(text: str) -> None:
    counted = count_segments(text)
    full = text + "a" * counted.units_left
    assert count_segments(full).segments == counted.segments
    assert count_segments(full).units_left == 0
    assert count_segments(full + "a").segments == counted.segments + 1


@given(TEXTS, st.data())
def test_taking_characters_away_never_adds_a_segment(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    assert count_segments(text[:start] + text[end:]).segments <= count_segments(text).segments


@pytest.mark.parametrize(
    ("unit", "segments"),
    [("a", 13_072), ("€", 26_316), ("я", 29_851), ("😀", 60_607)],
)
def test_a_text_of_two_million_characters_is_counted(unit: str, segments: int) -> None:
    # Anything worse than linear does not end within the suite's time limit; this takes 0.2 s.
    text = unit * -(-2_000_000 // len(unit))
    assert (count_segments(text).segments, count_segments(text).too_long) == (segments, True)
