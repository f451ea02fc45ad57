"""Every charset comes back byte for byte, or the part is left alone."""

from __future__ import annotations

import base64
from encodings import aliases

import pytest

from app.tracking.mime_charsets import decode
from app.tracking.mime_notes import LeftAlone
from app.tracking.mime_parts import PartKind
from app.tracking.rewrite_mime import plan_mime
from app.tracking.template import Template
from tests.unit.tracking.mime_samples.build import LINK, entity, leaves, payload, planned, rewritten, tracked_urls

SAMPLES = [
    ("utf-8", "utf-8", "Grüße 😀 日本"),
    ("UTF8", "utf-8", "\ufeffwith a mark ü"),
    ("utf-8-sig", "utf-8", "\ufeffwith a mark ü"),
    ("iso-8859-1", "latin-1", "Grüße\xa0"),
    ("iso-8859-1", "cp1252", "“Grüße” …"),  # as readers read it
    ("iso-8859-1", "latin-1", "no typography \x81"),
    ("iso-8859-9", "cp1254", "“Şğı”"),
    ("iso-8859-15", "iso-8859-15", "10 €"),
    ("ISO-8859-8-I", "iso-8859-8", "שלום"),
    ("windows-1252", "cp1252", "„Grüße“ – 10 €"),
    ("windows-1251", "cp1251", "Привет"),
    ("windows-874", "cp874", "สวัสดี"),
    ("koi8-r", "koi8-r", "Привет"),
    ("koi8-u", "koi8-u", "Київ"),
    ("iso-2022-jp", "iso-2022-jp", "こんにちは\r\n世界 ABC 日本"),
    ("shift_jis", "shift_jis", "ソ表示 ｱｲｳ"),
    ("x-sjis", "cp932", "①㈱"),  # what is called Shift_JIS and has NEC's characters
    ("euc-jp", "euc-jp", "日本語"),
    ("euc-kr", "euc-kr", "안녕하세요"),
    ("ks_c_5601-1987", "cp949", "똠방"),
    ("gb2312", "gb2312", "你好"),
    ("gb2312", "gbk", "鎔基"),
    ("gb18030", "gb18030", "你好😀"),
    ("big5", "big5", "許功蓋"),
    ("big5", "cp950", "裏碁"),
    ("hz-gb-2312", "hz", "你好~ ABC"),
    ("utf-7", "utf-7", "Grüße + mehr"),
    ("utf-16", "utf-16-le", "\ufeffGrüße 😀"),
    ("utf-16", "utf-16-be", "\ufeffGrüße"),
    ("utf-32", "utf-32-le", "\ufeffGrüße"),
    ("utf-16be", "utf-16-be", "Grüße"),
    ("cp037", "cp037", "EBCDIC"),
    ("us-ascii", "utf-8", "8 bits all the same: ü"),
    ("us-ascii", "cp1252", "8 bits all the same: ü€ÿ"),
]


@pytest.mark.parametrize(("charset", "codec", "words"), SAMPLES, ids=[f"{s[0]} {s[1]} {s[2][:4]}" for s in SAMPLES])
def test_a_part_keeps_its_charset_and_every_other_character(charset: str, codec: str, words: str) -> None:
    text = f"{words}{LINK} {words}\r\n"
    body = base64.encodebytes(text.encode(codec))
    message = planned(entity(f"text/plain; charset={charset}", body, "Content-Transfer-Encoding: base64"))
    assert message.seen == [(PartKind.TEXT, text)]
    assert message.notes == []
    (part,) = leaves(message.render())
    assert part.get_param("charset") == charset
    assert payload(part) == rewritten(text).encode(codec)


@pytest.mark.parametrize(
    ("charset", "body", "note"),
    [
        ("utf-8", b"\xff broken", "charset_not_reversible"),
        ("iso-2022-jp", b"\x1b$B$3\x1b(B\x1b(B useless shift", "charset_not_reversible"),
        ("utf-7", b"+AGE- which is an a", "charset_not_reversible"),
        ("utf-16", "no mark".encode("utf-16-be"), "charset_not_reversible"),
        ("windows-1252", b"\x81", "charset_not_reversible"),
        ("x-invented", b"ab", "charset_unknown"),
        ("x" * 5000, b"ab", "part_unreadable"),
        ("rot13", b"ab", "charset_unknown"),
        ("base64", b"YWI=", "charset_unknown"),
        ("unicode_escape", b"\\u0041", "charset_unknown"),
        ("idna", b"xn--a", "charset_unknown"),
        ("undefined", b"ab", "charset_unknown"),
        ("ütf-8", b"ab", "charset_unknown"),
        ("us-ascii", "こ".encode("iso-2022-jp"), "charset_unknown"),
        ("us-ascii", "ab".encode("utf-16-le"), "charset_unknown"),
    ],
)
def test_what_would_not_come_back_is_left_alone(charset: str, body: bytes, note: str) -> None:
    raw = entity(f"text/html; charset={charset}", body + LINK.encode(), "Content-Transfer-Encoding: 8bit")
    message = planned(raw)
    assert message.notes == [note]
    assert message.seen == []
    assert message.render() == raw


def test_html_without_a_charset_is_utf8_if_it_can_be_and_bytes_otherwise() -> None:
    assert planned(entity("text/html", "ü".encode())).seen == [(PartKind.HTML, "ü")]
    assert planned(entity("text/html", b"\xfc\x80")).seen == [(PartKind.HTML, "ü€")]
    assert planned(entity("text/html", b"\xfc\x81")).seen == [(PartKind.HTML, "ü\x81")]
    marked = "\ufeff<p>".encode("utf-16-le")
    assert planned(entity("text/html", marked)).seen == [(PartKind.HTML, "\ufeff<p>")]


def test_html_may_say_its_charset_itself_when_the_header_does_not() -> None:
    html = '<html><META http-equiv=Content-Type content="text/html; charset=windows-1251">Привет'
    body = html.encode("cp1251")
    assert planned(entity("text/html", body)).seen == [(PartKind.HTML, html)]
    assert planned(entity("text/html; charset=koi8-r", body)).seen == [(PartKind.HTML, body.decode("koi8-r"))]
    assert planned(entity("text/plain", body)).seen == [(PartKind.TEXT, body.decode("cp1252"))]
    for odd in (b"utf-16", b"base64", b"x-invented"):
        assert planned(entity("text/html", b'<meta charset="' + odd + b'">\xfc')).notes == []


def test_what_has_no_place_in_the_charset_leaves_the_part_alone() -> None:
    raw = entity("text/plain; charset=iso-8859-1", b"Hi\r\n")
    notes: list[str] = []
    template = plan_mime(
        raw, plan_part=lambda kind, text: Template((text + "€", 4, "")), notes=lambda code, detail: notes.append(code)
    )
    assert notes == ["charset_not_reversible"]
    assert template.render({}, {}) == raw


def test_a_shift_state_that_pieces_would_break_leaves_the_part_alone() -> None:
    raw = entity("text/plain; charset=iso-2022-kr", f"안녕 {LINK} 안녕".encode("iso-2022-kr"))
    assert planned(raw).notes == ["charset_not_reversible"]
    assert planned(raw).render() == raw


def test_a_slot_between_two_shifted_characters_returns_to_ascii_and_back() -> None:
    text = "日本"
    template = plan_mime(
        entity("text/plain; charset=iso-2022-jp", text.encode("iso-2022-jp")),
        plan_part=lambda kind, text: Template((text[:1], 4, text[1:])),
        notes=lambda code, detail: None,
    )
    (part,) = leaves(template.render(tracked_urls(), {}))
    assert payload(part) == f"日{tracked_urls()[4]}本".encode("iso-2022-jp")


@pytest.mark.parametrize("codec", sorted(set(aliases.aliases.values())))
def test_each_of_pythons_codecs_comes_back_or_is_refused(codec: str) -> None:
    data = b"<a href=3D>" + bytes(range(128, 256))
    for sample in (data, data[:11], b""):
        try:
            text, chosen = decode(sample, codec, html=True)
        except LeftAlone:
            continue
        assert text.encode(chosen) == sample
