"""What a token may say, the one way to write it, and which tokens are of the same message."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.block import Channel
from app.privacy.hashes import normalise_address
from app.tracking.token_content import MAX_CONTENT_BYTES, MAX_DESTINATION_BYTES, decode, encode
from app.tracking.tokens import (
    MAX_TOKEN_CHARS,
    ContentRefused,
    TokenContent,
    TokenPurpose,
    message_identity,
    seal_token,
)
from tests.unit.tracking.token_samples import CLICK, CONTENTS, FIELDS, KEY, OPEN, opened, sealed_raw

_WRONG_BYTES = {
    "nothing": b"",
    "a length of two bytes where one does": b"\x01\x81\x00a",
    "a length of three bytes": b"\x01\x81\x80\x00a",
    "fields out of order": b"\x06\x01c\x01\x01r",
    "a field twice": b"\x01\x01r\x01\x01r",
    "a field twice, another value": b"\x01\x01r\x01\x01s",
    "an unknown tag": b"\x01\x01r\x0c\x01x",
    "tag 0": b"\x00\x01x\x01\x01r",
    "bytes behind": b"\x01\x01r\x00",
    "a length beyond the end": b"\x01\x02r",
    "a tag alone": b"\x01\x01r\x05",
    "half a length": b"\x01\x01r\x05\x80",
    "an empty field": b"\x01\x01r\x05\x00",
    "no reference and no address": b"\x06\x01c",
    "not UTF-8": b"\x01\x01\xff",
    "UTF-8 that is too long": b"\x01\x02\xc0\xaf",
    "a surrogate": b"\x01\x03\xed\xa0\x80",
    "a line end": b"\x01\x03a\r\n",
    "a NUL": b"\x01\x02a\x00",
    "text turned around": b"\x01\x04a\xe2\x80\xae",
    "an email address and a phone number": b"\x02\x03a@b\x03\x08+4915112",
    "the SMS mark beside a phone number": b"\x03\x08+4915112\x04\x00",
    "the SMS mark beside an email address": b"\x02\x03a@b\x04\x00",
    "the SMS mark with a value": b"\x01\x01r\x04\x01x",
    "an email address without @": b"\x02\x03abc",
    "a phone number with letters": b"\x03\x08+49151a2",
    "a destination outside a click": b"\x01\x01r\x09\x09a.example",
    "metadata out of order": b"\x01\x01r\x0b\x08\x01b\x01x\x01a\x01x",
    "a key of metadata twice": b"\x01\x01r\x0b\x08\x01a\x01x\x01a\x01y",
    "a key of metadata without a value": b"\x01\x01r\x0b\x02\x01a",
    "an empty key of metadata": b"\x01\x01r\x0b\x03\x00\x01x",
    "no metadata, said aloud": b"\x01\x01r\x0b\x00",
}


@pytest.mark.parametrize("name", _WRONG_BYTES)
def test_content_that_is_written_otherwise_is_refused_even_under_the_right_key(name: str) -> None:
    assert opened(sealed_raw(b"\x01\x01r")) == TokenContent(reference="r")
    assert opened(sealed_raw(_WRONG_BYTES[name])) is None


@pytest.mark.parametrize(
    "rows",
    [
        [(10, "https://a.example")],  # may only be written with tag 9
        [(9, "a.example"), (10, "http://a.example")],
        [(10, "http://a.example"), (9, "a.example")],
        [(9, "")],
        [(10, "javascript:alert(1)")],
        [(10, "data:text/html,x")],
        [(10, "//www.alder.example")],
        [(10, "/path")],
        [(10, "http://[::1]/")],
        [(9, "u@www.example")],
        [(9, "u:p@www.example/")],
        [(9, "a.example/\r\nSet-Cookie: a=b")],
        [(9, "a.example/\tb")],
        [(9, "a. example/")],
        [(9, "\\a.example")],
        [(9, "127.0.0.1")],
        [(9, "2130706433")],
        [(9, "/a.example")],
        [],
    ],
)
def test_a_destination_that_is_unsafe_or_written_otherwise_is_refused(rows: list[tuple[int, str]]) -> None:
    good = b"\x01\x01r\x09\x09a.example"
    raw = b"".join(bytes((tag, len(text))) + text.encode() for tag, text in rows)
    found = opened(sealed_raw(good, CLICK), CLICK)
    assert found is not None
    assert found.destination == "https://a.example"
    assert opened(sealed_raw(b"\x01\x01r" + raw, CLICK), CLICK) is None


@given(CONTENTS, st.data())
def test_changed_content_is_refused_or_says_something_else(content: TokenContent, data: st.DataObject) -> None:
    raw = bytearray(encode(OPEN, content))
    place = data.draw(st.integers(0, len(raw) - 1))
    change = data.draw(st.sampled_from(["set", "insert", "delete"]))
    byte = data.draw(st.integers(0, 255))
    raw[place : place + (change != "insert")] = b"" if change == "delete" else bytes((byte,))
    found = decode(OPEN, bytes(raw))
    assert found is None or (found == content) == (bytes(raw) == encode(OPEN, content))


@pytest.mark.parametrize(
    ("purpose", "content", "name"),
    [
        (OPEN, TokenContent(), "reference"),
        (OPEN, TokenContent(contact_id="c", campaign_id="x"), "reference"),
        (OPEN, TokenContent(reference=""), "reference"),
        (OPEN, TokenContent(reference="r" * 129), "reference"),
        (OPEN, TokenContent(reference="ß" * 65), "reference"),
        (OPEN, TokenContent(reference="\ud800"), "reference"),
        (OPEN, TokenContent(reference="a\nb"), "reference"),
        (OPEN, TokenContent(address=""), "address"),
        (OPEN, TokenContent(address="ada"), "address"),
        (OPEN, TokenContent(address="@"), "address"),
        (OPEN, TokenContent(address="a b@c.example"), "address"),
        (OPEN, TokenContent(address="a" * 250 + "@b.example"), "address"),
        (OPEN, TokenContent(address="+4915112345678"), "address"),
        (OPEN, TokenContent(address="ada@mail.example", channel=Channel.SMS), "address"),
        (OPEN, TokenContent(address="004915112345678", channel=Channel.SMS), "address"),
        (OPEN, TokenContent(address="+٤٩١٥١١٢٣", channel=Channel.SMS), "address"),
        (OPEN, TokenContent(reference="r", destination="https://a.example"), "destination"),
        (CLICK, TokenContent(reference="r"), "destination"),
        (CLICK, TokenContent(reference="r", destination="ftp://a.example"), "destination"),
        (CLICK, TokenContent(reference="r", destination="https://u:p@a.example"), "destination"),
        (CLICK, TokenContent(reference="r", destination="https://a.example/\r\nX: y"), "destination"),
        (CLICK, TokenContent(destination="https://a.example"), "reference"),
        (FIELDS, TokenContent(), ""),
        (OPEN, TokenContent(reference="r", metadata={"k": "v" * 257}), "metadata"),
        (OPEN, TokenContent(reference="r", metadata={"k" * 65: "v"}), "metadata"),
        (OPEN, TokenContent(reference="r", metadata={"": "v"}), "metadata"),
        (OPEN, TokenContent(reference="r", metadata={str(n): "" for n in range(17)}), "metadata"),
        (OPEN, TokenContent(reference="r", metadata={str(n): "v" * 256 for n in range(4)}), ""),
    ],
)
def test_what_cannot_be_said_names_its_field_and_quotes_nothing(
    purpose: TokenPurpose, content: TokenContent, name: str
) -> None:
    with pytest.raises(ContentRefused) as caught:
        seal_token(KEY, "alder", purpose, content)
    assert caught.value.field == name
    assert caught.value.__cause__ is None
    assert not re.search(r"ada|a\.example|\+49", str(caught.value))


def test_the_longest_content_makes_the_longest_token() -> None:
    url = "https://a.example/" + "x" * (MAX_DESTINATION_BYTES - len("https://a.example/"))
    reference = "r" * (MAX_CONTENT_BYTES - (3 + MAX_DESTINATION_BYTES - len("https://")) - 2)
    token = seal_token(KEY, "alder", CLICK, TokenContent(reference=reference, destination=url))
    assert len(token) == MAX_TOKEN_CHARS
    found = opened(token, CLICK)
    assert found is not None
    assert found.destination == url
    with pytest.raises(ContentRefused, match="1031 bytes together"):
        seal_token(KEY, "alder", CLICK, TokenContent(reference=reference + "r", destination=url))
    with pytest.raises(ContentRefused, match="1 to 1024 bytes"):
        seal_token(KEY, "alder", CLICK, TokenContent(reference="r", destination=url + "x"))


def _identity(**about: object) -> bytes:
    return message_identity(TokenContent(**about), normalise_address)  # type: ignore[arg-type]


def test_a_message_is_one_thing_said_to_one_recipient() -> None:
    same = _identity(reference="m-1", address="Ada@Mail.example", campaign_id="a", destination="https://a.example")
    assert same == _identity(reference="m-1", address="ada@mail.example", contact_id="c-1", metadata={"a": "b"})
    different = {
        same,
        _identity(reference="m-2", address="ada@mail.example"),
        _identity(reference="m-1", address="bo@mail.example"),
        _identity(reference="m-1"),
        _identity(reference="m-1", contact_id="ada@mail.example"),
        _identity(reference="m-1", channel=Channel.SMS),
        _identity(reference="m-1", address="+4915112345678", channel=Channel.SMS),
        _identity(address="ada@mail.example"),
        _identity(address="ada@mail.example", campaign_id="m-1"),
        _identity(address="ada@mail.example", campaign_id="m-2"),
    }
    assert len(different) == 10
    assert _identity(address="ada@mail.example", campaign_id="m-1", list_id="x") in different


@given(CONTENTS, CONTENTS)
def test_identities_are_equal_exactly_for_the_same_thing_and_recipient(one: TokenContent, two: TokenContent) -> None:
    def parts(content: TokenContent) -> tuple[object, ...]:
        address = None if content.address is None else normalise_address(content.channel, content.address)
        who = ("address", address) if address is not None else ("contact", content.contact_id or "")
        return content.channel, content.reference, who

    same = message_identity(one, normalise_address) == message_identity(two, normalise_address)
    assert same == (parts(one) == parts(two))
