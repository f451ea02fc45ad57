"""The `Location` header: what the author wrote, in ASCII, and never anything but http or https."""

from __future__ import annotations

import pytest

from app.tracking.urls import TrackingUrls, location


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/?a=1&b=2",
        "https://shop.example/?q=fish%26chips",
        "https://shop.example/p#section-2",
        "https://shop.example/?ids[]=1&ids[]=2",
        "http://shop.example:8080/a;v=1?x",
        "HTTPS://Shop.example/A%2fb",
        "https://bucket.example/k?X-Sig=AbC%2F+%2B==&x=1",
    ],
)
def test_an_ascii_destination_is_kept_byte_for_byte(url: str) -> None:
    assert location(url) == url


@pytest.mark.parametrize(
    ("url", "uri"),
    [
        ("https://bücher.example/straße?x=😀", "https://xn--bcher-kva.example/stra%C3%9Fe?x=%F0%9F%98%80"),
        ("https://shop.example/p#grün", "https://shop.example/p#gr%C3%BCn"),
        ("https://shop.example:8443/ü?q=%26&r=ä", "https://shop.example:8443/%C3%BC?q=%26&r=%C3%A4"),
    ],
)
def test_other_characters_become_the_equal_uri(url: str, uri: str) -> None:
    assert location(url) == uri


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "https:evil.example",
        "ftp://shop.example",
        "",
        "https://shop.example/\r\nSet-Cookie: a=b",
        "https://shop.example/a b",
        "https://shop.example/\x00",
        "https://ü@shop.example/",
        "https://shop.example:port/ü",
    ],
)
def test_nothing_else_is_redirected_to(url: str) -> None:
    assert location(url) is None


def test_tracking_urls_carry_host_code_and_local_port() -> None:
    urls = TrackingUrls("http", 8080)
    assert urls.pixel("news.acme.example", "abc") == "http://news.acme.example:8080/o/abc.gif"
    assert TrackingUrls("https").click("go.acme.example", "abc") == "https://go.acme.example/c/abc"
    assert TrackingUrls("https").unsubscribe("go.acme.example", "abc") == "https://go.acme.example/u/abc"
