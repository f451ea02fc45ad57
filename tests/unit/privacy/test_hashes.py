"""Normal forms and keyed hashes: the same person is always found, two people never become one."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.block import Channel
from app.privacy.hashes import address_hash, normalise_address

KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("ann@shop.example", "ann@shop.example"),
        ("  Ann@Shop.EXAMPLE \n", "ann@shop.example"),
        ("ANN.LEE+news@shop.example", "ann.lee+news@shop.example"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@XN--BCHER-KVA.example.", "ann@xn--bcher-kva.example"),
        ("ａｎｎ@shop.example", "ann@shop.example"),
        ("Zoe\u0308@shop.example", "zoë@shop.example"),
        ('"a@b"@shop.example', '"a@b"@shop.example'),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
        ("Ann@no domain", "ann@no domain"),
        ("Nobody", "nobody"),
    ],
)
def test_an_email_address_has_one_form(written: str, normal: str) -> None:
    assert normalise_address(Channel.EMAIL, written) == normal


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("+49 (151) 23-456.78", "+491512345678"),
        (" +491512345678", "+491512345678"),
        ("＋４９１５１２３４５６７８", "+491512345678"),
        ("+٤٩١٥١", "+49151"),
        ("0151 23456", "015123456"),
    ],
)
def test_a_phone_number_has_one_form(written: str, normal: str) -> None:
    assert normalise_address(Channel.SMS, written) == normal


@pytest.mark.parametrize(("channel", "text"), [(Channel.EMAIL, " \t"), (Channel.SMS, "+"), (Channel.SMS, "no digits")])
def test_nothing_is_not_hashed(channel: Channel, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        address_hash(KEY, channel, text)
    assert "no digits" not in str(caught.value)


def test_dots_tags_and_countries_are_not_guessed() -> None:
    forms = {normalise_address(Channel.EMAIL, f"{local}@shop.example") for local in ("annlee", "ann.lee", "annlee+x")}
    assert len(forms) == 3
    assert normalise_address(Channel.SMS, "0049151") != normalise_address(Channel.SMS, "+49151")


def test_the_hash_is_hmac_sha256_of_the_normal_form() -> None:
    expected = hmac.new(KEY, b"ann@shop.example", hashlib.sha256).hexdigest()
    assert address_hash(KEY, Channel.EMAIL, "Ann@SHOP.example ") == expected
    assert address_hash(bytes(32), Channel.EMAIL, "ann@shop.example") != expected


@given(st.sampled_from(Channel), st.text(max_size=30) | st.builds("{}@{}".format, st.text(), st.text()))
def test_normalising_twice_changes_nothing(channel: Channel, text: str) -> None:
    try:
        normal = normalise_address(channel, text)
    except ValueError:
        return
    assert normalise_address(channel, normal) == normal
    assert len(address_hash(KEY, channel, text)) == 64


@given(st.from_regex(r"[a-z0-9.]{1,20}@[a-z]{1,10}\.example", fullmatch=True), st.randoms())
def test_case_and_surrounding_space_never_make_two_people(address: str, random: object) -> None:
    mixed = "".join(char.upper() if random.random() < 0.5 else char for char in address)  # type: ignore[attr-defined]
    assert normalise_address(Channel.EMAIL, f" {mixed}\n") == normalise_address(Channel.EMAIL, address)
