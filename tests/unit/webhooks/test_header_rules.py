"""Which headers a brand may add, and that no value can end a line or stand for one of ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lib.header_rules import MAX_HEADERS, MAX_TOTAL_LENGTH, MAX_VALUE_LENGTH, check_header, check_headers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer abc.def-ghi"),
        ("X-Api-Key", 'a b;c="d", e'),
        ("x", "1"),
        ("X-" + "a" * 62, "v" * MAX_VALUE_LENGTH),
        ("Contents", "not one of content-x"),
    ],
)
def test_a_brands_own_header_is_taken(name: str, value: str) -> None:
    check_header(name, value)


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "HOST", "Content-Type", "content-length", "Content-Encoding", "content-anything", "Connection"),
        *("Transfer-Encoding", "User-Agent", "webhook-id", "Webhook-Signature", "WEBHOOK-new", "Cookie"),
        *("x-telltale-brand", "X-Telltale-Attempt", "Expect", "TE", "Trailer", "Upgrade", "Keep-Alive"),
        *("Accept-Encoding", "Proxy-Authorization", "proxy-connection", "HTTP2-Settings"),
    ],
)
def test_what_we_or_http_set_cannot_be_set(name: str) -> None:
    with pytest.raises(ValueError, match="is set by Telltale or by HTTP itself"):
        check_header(name, "x")


@pytest.mark.parametrize(
    "name",
    ["", "a" * 65, "a b", "a:b", "webhook_id", "a\r\nb", "a\n", "a\0", "ä", "Ｈost", "ſ", "a/b", '"a"', " a", "a\t"],
)
def test_a_name_is_letters_digits_and_hyphens(name: str) -> None:
    with pytest.raises(ValueError, match="letters, digits and hyphens"):
        check_header(name, "x")


@pytest.mark.parametrize(
    "value",
    ["", " ", " a", "a ", "a\r\nX: y", "a\nb", "a\rb", "a\0b", "a\tb", "a\x7f", "é", "\u2028", "v" * 4097, "a\n"],
)
def test_a_value_is_one_line_of_visible_ascii_and_is_never_quoted(value: str) -> None:
    with pytest.raises(ValueError, match=r"^the value of header x-key must [a-zA-Z0-9 ]+$"):
        check_header("X-Key", value)


@given(st.text(max_size=12), st.text(max_size=12))
def test_whatever_is_taken_cannot_break_out_of_its_line(name: str, value: str) -> None:
    try:
        check_header(name, value)
    except ValueError:
        return
    line = f"{name}: {value}"
    assert line.isascii()
    assert line.isprintable()
    assert line.split(":", 1) == [name, f" {value}"]
    assert value == value.strip()


def test_the_headers_of_an_endpoint_are_kept_in_lower_case() -> None:
    assert check_headers([("X-B", "1"), ("Authorization", "t")]) == (("x-b", "1"), ("authorization", "t"))


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ([("X-A", "1"), ("x-a", "2")], "twice"),
        ([(f"x-{n}", "1") for n in range(MAX_HEADERS + 1)], "more than"),
        ([("x-a", "v" * MAX_VALUE_LENGTH), ("x-b", "v" * (MAX_TOTAL_LENGTH - MAX_VALUE_LENGTH))], "together"),
        ([("x-a", "ok"), ("host", "evil.example")], "set by Telltale"),
    ],
)
def test_headers_are_few_short_and_different(headers: list[tuple[str, str]], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_headers(headers)
