"""Which addresses `app.messages.addresses` takes."""

from __future__ import annotations

import pytest

from app.messages.addresses import check_address
from app.models.block import Channel


@pytest.mark.parametrize(
    "address",
    [
        "ada@mail.example",
        "Ada.Lovelace+news@mail.example",
        "o'brien@sub.mail.example",
        "用户@例子.example",
        "a@xn--fsqu00a.example",
        "x" * 64 + "@mail.example",
    ],
)
def test_usual_email_addresses_are_taken(address: str) -> None:
    check_address(Channel.EMAIL, address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "@mail.example",
        "ada@",
        "ada@localhost",
        "ada@mail.example.",
        "ada@@mail.example",
        "ada mail@mail.example",
        ".ada@mail.example",
        "ada.@mail.example",
        "a..da@mail.example",
        '"ada"@mail.example',
        "ada@[192.0.2.1]",
        "ada@192.0.2.1",
        "ada@-mail.example",
        "ada@ma_il.example",
        "ada@mail.example\n",
        "ada\r\nBcc: eve@mail.example@mail.example",
        "ada\u200b@mail.example",
        "Ada <ada@mail.example>",
        "ada@mail.example,eve@mail.example",
        "x" * 65 + "@mail.example",
        "é" * 33 + "@mail.example",
        "ada@" + "x" * 250 + ".example",
    ],
)
def test_what_is_no_plain_email_address_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(ValueError, match="must be an email address") as caught:
        check_address(Channel.EMAIL, address)
    assert not address or address not in str(caught.value)


@pytest.mark.parametrize("number", ["+4915112345678", "+12025550123", "+1234567", "+123456789012345"])
def test_e164_numbers_are_taken(number: str) -> None:
    check_address(Channel.SMS, number)


@pytest.mark.parametrize(
    "number",
    [
        "",
        "015112345678",
        "+0151123456",
        "+49 151 123",
        "+123456",
        "+1234567890123456",
        "+49151١٢٣٤٥٦",
        "tel:+1202555",
        "+12025550123\n",
    ],
)
def test_other_writings_of_numbers_are_refused(number: str) -> None:
    with pytest.raises(ValueError, match=r"E\.164"):
        check_address(Channel.SMS, number)
