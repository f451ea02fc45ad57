"""The last net: shapes of addresses, numbers, codes and secrets do not pass; our own words do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.scrub import scrub, scrub_path, scrub_url

_local = st.text("abcdefghijklmnopqrstuvwxyz0123456789.+_-", min_size=1, max_size=20)


@given(_local, st.sampled_from(["@", "%40"]), st.sampled_from([" ", "=", '"', "<", ",", "(", ""]))
def test_no_address_passes(local: str, at: str, before: str) -> None:
    assert "inbox.example" not in scrub(f"x{before}{local}{at}inbox.example rest")


@pytest.mark.parametrize("phone", ["+4915123456789", "+49 151 234 567 89", "0049 151 23456789", "0151/23456789"])
def test_no_phone_number_passes(phone: str) -> None:
    assert "234" not in scrub(f"to {phone}, again")


@pytest.mark.parametrize(
    "text",
    [
        "host-1784750000000-12-seg.00012@4096".replace("@", ":"),
        "pymongo.errors.AutoReconnect",
        "ServerSelectionTimeoutError",
        "the mark was 1048576 numbers behind the stored blocks and has been raised",
        "has not reported for 17 s",
        "evt_01J8ZC0000000000000000ABCD",
    ],
)
def test_our_own_words_pass(text: str) -> None:
    assert scrub(text) == text


def test_a_url_keeps_where_and_loses_what() -> None:
    url = "https://user:pass@T.Brand.example:8443/c/Xk29fLmQ?p=token#frag"
    assert scrub_url(url) == "https://t.brand.example:8443/c/…"
    assert scrub_url("https://x.example:port/") == "…"


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/o/Xk29fLmQ.gif", "/o/…"),
        ("/c/s/AbCd-token", "/c/…"),
        ("/in/ses", "/in/…"),
        ("/v1/messages", "/v1/messages"),
        ("/v1/messages/msg_123/events", "/v1/messages/…"),
        ("/healthz", "/healthz"),
        ("", ""),
    ],
)
def test_a_path_keeps_the_pattern_only(path: str, kept: str) -> None:
    assert scrub_path(path) == kept


def test_a_long_text_is_cut() -> None:
    assert len(scrub("word " * 10_000)) == 300
