"""One-click unsubscribe headers."""

from __future__ import annotations

import pytest

from app.tracking.list_unsubscribe import list_unsubscribe_headers

URL = "https://t.example/u/AbC123"


def test_mailto_comes_first_and_one_click_is_announced() -> None:
    assert list_unsubscribe_headers(URL, "stop+news@brand.example") == {
        "List-Unsubscribe": f"<mailto:stop+news@brand.example>, <{URL}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def test_without_mailto_the_url_stands_alone() -> None:
    assert list_unsubscribe_headers(URL, None)["List-Unsubscribe"] == f"<{URL}>"


def test_mailto_may_be_a_url_with_a_subject() -> None:
    headers = list_unsubscribe_headers("http://127.0.0.1:8080/u/AbC", "mailto:stop@brand.example?subject=stop%20it")
    assert headers["List-Unsubscribe"] == "<mailto:stop@brand.example?subject=stop%20it>, <http://127.0.0.1:8080/u/AbC>"


@pytest.mark.parametrize(
    "tail", ["\r\nBcc: a@b.example", "\n", "\r", " x", ">", "<", '"', "\\", "\x00", "\x7f", "ü", "\u2028"]
)
def test_nothing_can_break_out_of_the_header(tail: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        list_unsubscribe_headers(URL + tail, None)
    with pytest.raises(ValueError, match="mailto"):
        list_unsubscribe_headers(URL, "stop@brand.example" + tail)


@pytest.mark.parametrize("url", ["", "mailto:a@b.example", "javascript:x", "//t.example/u/x", "https://"])
def test_only_a_web_url_is_accepted(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        list_unsubscribe_headers(url, None)


@pytest.mark.parametrize("mailto", ["", "mailto:", "brand.example", "@", "mailto:?subject=x"])
def test_only_an_address_is_accepted(mailto: str) -> None:
    with pytest.raises(ValueError, match="mailto"):
        list_unsubscribe_headers(URL, mailto)
