"""Sealed tokens: they open for their brand and purpose, and nothing that differs from them in one bit opens at all."""

from __future__ import annotations

import base64
import re
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.block import Channel
from app.tracking.tokens import (
    MAX_TOKEN_CHARS,
    TokenContent,
    TokenKey,
    TokenPurpose,
    key_number_of,
    open_token,
    seal_token,
    unpack,
)
from tests.unit.tracking.token_samples import (
    CLICK,
    CONTENTS,
    DESTINATIONS,
    FIELDS,
    KEY,
    OPEN,
    PERSON,
    SAMPLES,
    UNSUBSCRIBE,
    opened,
    sealed,
)

# One token for each number of characters behind the last full group of four.
LENGTHS = [seal_token(KEY, "alder", OPEN, TokenContent(reference="r" * length)) for length in (5, 6, 7)]


@given(CONTENTS, DESTINATIONS, st.sampled_from(TokenPurpose), st.sampled_from(["alder", "birch-2", "b_1"]))
def test_what_is_sealed_opens_again_in_one_way_only(
    content: TokenContent, destination: str, purpose: TokenPurpose, brand_id: str
) -> None:
    content = replace(content, destination=destination) if purpose is CLICK else content
    token = seal_token(KEY, brand_id, purpose, content)
    assert open_token(KEY, brand_id, purpose, token) == content
    assert seal_token(KEY, brand_id, purpose, content) == token
    assert re.fullmatch(rf"[A-Za-z0-9_-]{{28,{MAX_TOKEN_CHARS}}}", token)
    raw = unpack(token)
    assert raw is not None
    assert key_number_of(raw) == 1


@given(CONTENTS, CONTENTS)
def test_contents_that_differ_have_tokens_that_differ(one: TokenContent, two: TokenContent) -> None:
    assert (seal_token(KEY, "alder", OPEN, one) == seal_token(KEY, "alder", OPEN, two)) == (one == two)


@pytest.mark.parametrize("purpose", TokenPurpose)
def test_one_changed_bit_anywhere_is_no_token(purpose: TokenPurpose) -> None:
    token = sealed(purpose)
    raw = unpack(token)
    assert raw is not None
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert opened(base64.urlsafe_b64encode(changed).decode().rstrip("="), purpose) is None, bit
    for bit in range(len(token) * 8):
        text = bytearray(token.encode())
        text[bit // 8] ^= 1 << bit % 8
        assert opened(text.decode("latin-1"), purpose) is None, bit
    assert opened(token, purpose) == SAMPLES[purpose]


@pytest.mark.parametrize("purpose", TokenPurpose)
def test_another_brand_or_purpose_or_key_does_not_open_it(purpose: TokenPurpose) -> None:
    token = sealed(purpose)
    for other in TokenPurpose:
        for brand_id in ("alder", "birch", "alder2", "Alder", "", "lder"):
            if (other, brand_id) != (purpose, "alder"):
                assert opened(token, other, brand_id) is None
    assert open_token(TokenKey(1, bytes(64)), "alder", purpose, token) is None
    assert open_token(TokenKey(2, bytes(range(64))), "alder", purpose, token) is None


def test_brand_and_purpose_cannot_be_shifted_into_each_other() -> None:
    token = seal_token(KEY, "calder", OPEN, PERSON)
    assert opened(token, CLICK, "alder") is None
    assert opened(seal_token(KEY, "", FIELDS, PERSON), OPEN, "p") is None


@pytest.mark.parametrize("token", LENGTHS, ids=lambda token: f"{len(token) % 4} behind")
def test_only_one_spelling_of_a_token_is_accepted(token: str) -> None:
    raw = unpack(token)
    assert raw is not None
    assert opened(token) is not None
    spellings = {
        "padding": token + "=" * (-len(token) % 4),
        "some padding": token + "=",
        "much padding": token + "====",
        "plain alphabet": base64.b64encode(raw).decode().rstrip("="),
        "plain, padded": base64.b64encode(raw).decode(),
        "hex": raw.hex(),
        "base32": base64.b32encode(raw).decode(),
        "base85": base64.b85encode(raw).decode(),
        "upper": token.upper(),
        "lower": token.lower(),
        "swapped": token.swapcase(),
        "percent": "".join(f"%{ord(char):02x}" for char in token),
        "one percent": "%41" + token[1:],
        "quoted": quote(token + " "),
        "wide": "".join(chr(ord(char) + 0xFEE0) for char in token),
        "wide first": chr(ord(token[0]) + 0xFEE0) + token[1:],
        "line end": token + "\n",
        "carriage return": token + "\r\n",
        "blank in front": " " + token,
        "tab inside": token[:9] + "\t" + token[9:],
        "no-break": token[:9] + "\xa0" + token[9:],
        "zero width": token[:9] + "\u200b" + token[9:],
        "soft hyphen": token[:9] + "\xad" + token[9:],
        "nul": token + "\0",
        "slash": token + "/",
        "dot": token + ".",
        "gif": token + ".gif",
        "query": token + "?",
        "twice": token + token,
        "more": token + "A",
        "four more": token + "AAAA",
        "in front": "AAAA" + token,
        "less": token[:-1],
        "first less": token[1:],
        "reversed": token[::-1],
        "empty": "",
    }
    for name, spelling in spellings.items():
        assert spelling == token or opened(spelling) is None, name
    assert unicodedata.normalize("NFKC", spellings["wide"]) == token, "the look-alike is one"
    for cut in range(len(token)):
        assert opened(token[:cut]) is None


@pytest.mark.parametrize("token", LENGTHS, ids=lambda token: f"{len(token) % 4} behind")
def test_bits_behind_the_last_byte_are_zero(token: str) -> None:
    raw = unpack(token)
    assert raw is not None
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [token[:-1] + char for char in alphabet if char != token[-1]]
    same_bytes = [other for other in others if base64.urlsafe_b64decode(other + "=" * (-len(other) % 4)) == raw]
    assert len(same_bytes) == {0: 0, 2: 15, 3: 3}[len(token) % 4], "a lenient reader takes these"
    assert [other for other in others if opened(other) is not None] == []


@given(st.text(max_size=100) | st.from_regex(r"AQAB[A-Za-z0-9_-]{0,200}", fullmatch=True))
def test_garbage_is_no_token_and_no_error(text: str) -> None:
    assert opened(text) is None


def test_another_version_and_key_number_zero_are_no_tokens() -> None:
    raw = bytearray(unpack(sealed(OPEN)) or b"")
    raw[0] = 2
    assert unpack(base64.urlsafe_b64encode(raw).decode().rstrip("=")) is None
    for number, key in ((0, bytes(64)), (65536, bytes(64)), (1, bytes(63)), (1, bytes(32))):
        with pytest.raises(ValueError, match="64 bytes"):
            TokenKey(number, key)


def test_a_30_byte_address_fits_in_a_link_under_140_characters() -> None:
    address = "adaline.lovelace@mails.example"
    assert len(address) == 30
    for purpose, path in ((OPEN, "/o/s/{}.gif"), (UNSUBSCRIBE, "/u/s/{}")):
        link = "https://click.alder.example" + path.format(
            seal_token(KEY, "alder", purpose, TokenContent(reference="spring-2026-000123", address=address))
        )
        assert len(link) < 140
    content = TokenContent(address=address, destination="https://www.alder.example/jobs/123")
    assert len("https://click.alder.example/c/s/" + seal_token(KEY, "alder", CLICK, content)) < 140


def test_an_outsider_reads_nothing_of_the_person() -> None:
    people = [("ada.lovelace@mail.example", "Ada Lovelace", "+49151123456%02d"), ("bo@news.example", "Bo Söder", "+1")]
    for n in range(300):
        address, name, phone = people[n % 2]
        phone = (phone % n if "%" in phone else f"+1202555{n:04d}")[:15]
        about = {"reference": f"m-{n}", "metadata": {"name": name}, "contact_id": f"contact-{n:05d}"}
        email = TokenContent(address=address, **about)
        sms = TokenContent(address=phone, channel=Channel.SMS, **about)
        for purpose in (OPEN, UNSUBSCRIBE, FIELDS):
            for content in (email, sms):
                _assert_hidden(seal_token(KEY, "alder", purpose, content), address, name, phone, f"contact-{n:05d}")


def _assert_hidden(token: str, *secrets: str) -> None:
    raw = unpack(token)
    assert raw is not None
    readings = [raw, token.encode(), token.lower().encode(), raw.hex().encode(), token[::-1].encode(), raw[::-1]]
    for offset in (1, 2, 3):  # as somebody would read it who does not know where a group begins
        part = token[offset:]
        readings.append(base64.urlsafe_b64decode(part[: len(part) // 4 * 4]))
    for secret in secrets:
        pieces = {secret, secret.lower(), secret.split("@")[0], *secret.split(), secret[-6:], secret[:6]}
        for piece in (piece.encode() for piece in pieces if len(piece) > 3):
            encodings = {piece, piece.hex().encode(), quote(piece).encode(), piece[::-1]}
            for offset in range(3):  # base64 of the piece, wherever in a group of three it may begin
                text = base64.urlsafe_b64encode(b"\0" * offset + piece)
                encodings.add(text[4 if offset else 0 : len(text) // 4 * 4 - 4] or piece)
            forms = [form for form in encodings if len(form) > 5]  # shorter ones are met by chance
            assert not any(form in reading for form in forms for reading in readings)


def test_tokens_of_contents_that_are_alike_look_like_noise() -> None:
    """Bytes of 3,000 tokens that differ in a number: chi-square with 255 degrees of freedom."""
    tokens = [
        unpack(seal_token(KEY, "alder", OPEN, TokenContent(reference=f"m-{n:06d}", address="ada@mail.example")))
        for n in range(3000)
    ]
    bodies = [token[3:] for token in tokens if token is not None]
    counts = Counter(byte for body in bodies for byte in body)
    expected = sum(counts.values()) / 256
    assert sum((counts[byte] - expected) ** 2 / expected for byte in range(256)) < 420
    for place in range(len(bodies[0])):  # no byte of one place is common
        assert Counter(body[place] for body in bodies).most_common(1)[0][1] < 45
    assert len(set(bodies)) == 3000


def test_the_tokens_of_one_message_have_nothing_in_common() -> None:
    tokens = [unpack(seal_token(KEY, "alder", purpose, PERSON)) or b"" for purpose in (OPEN, UNSUBSCRIBE, FIELDS)]
    tokens.append(unpack(seal_token(KEY, "birch", OPEN, PERSON)) or b"")
    windows = [{token[place : place + 4] for place in range(3, len(token) - 3)} for token in tokens]
    assert not any(one & two for n, one in enumerate(windows) for two in windows[n + 1 :])


def test_a_content_does_not_show_the_person_when_it_is_printed() -> None:
    shown = repr(SAMPLES[CLICK]) + repr(SAMPLES[UNSUBSCRIBE])
    assert not re.search(r"ada|Lovelace|4915|straße|c-77|m-000123", shown)


def test_threads_may_share_a_key() -> None:
    contents = [TokenContent(reference=f"m-{n}") for n in range(2000)]
    alone = [seal_token(KEY, "alder", OPEN, content) for content in contents]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda content: seal_token(KEY, "alder", OPEN, content), contents)) == alone
        assert list(pool.map(opened, alone)) == contents
