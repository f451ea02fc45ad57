"""The `Location` header: what the author wrote, in ASCII, and never anything but http or https."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.lib.http_url import MAX_DESTINATION_LENGTH, normalise_domain
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
        "https://shop.example.:0443",
        "https://bucket.example/k?X-Sig=AbC%2F+%2B==&x=1",
        "https://shop.example/%0d%0aSet-Cookie:%20a=b",
        "https://shop.example/?a=%&b=\"<>'^`{|}~",
        "https://shop.example/?x=1#a#b?c",
        "https://shop.example/a/../b/./c//d",
        "https://shop.example/".ljust(MAX_DESTINATION_LENGTH, "x"),
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
        ("https://straße.example/", "https://xn--strae-oqa.example/"),
        ("HTTPS://Bücher.Example.:0443/A%2fb", "HTTPS://xn--bcher-kva.example.:0443/A%2fb"),
        ("https://Shop.Example/ü", "https://Shop.Example/%C3%BC"),
        ("https://例え.テスト。/", "https://xn--r8jz45g.xn--zckzah./"),
        ("https://shop.example/a b?c d#e f", "https://shop.example/a%20b?c%20d#e%20f"),
        ("https://shop.example/?q=a  b", "https://shop.example/?q=a%20%20b"),
        ("https://shop.example/\u00a0", "https://shop.example/%C2%A0"),
        ("https://shop.example/a\u200bb", "https://shop.example/a%E2%80%8Bb"),
        ("https://shop.example/?\u202egnp.exe", "https://shop.example/?%E2%80%AEgnp.exe"),
        ("https://shop.example?ü", "https://shop.example?%C3%BC"),
        ("https://shop.example#ü", "https://shop.example#%C3%BC"),
        ("https://shop.example/u\u0308", "https://shop.example/u%CC%88"),
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
        "/evil",
        "https:evil.example",
        "ftp://shop.example",
        "",
        "https://shop.example/\r\nSet-Cookie: a=b",
        "https://shop.example/ü\r\nSet-Cookie: a=b",
        "https://shop.example/a\tb",
        "https://shop.example/\x00",
        "https://shop.example/\x85",
        "https://shop.example/\u2028",
        "https://shop.example/a ",
        "https://shop .example/",
        "https://shop\u200b.example/",
        "https://ü@shop.example/",
        "https://ann@shop.example/",
        "https://ann:secret@shop.example/",
        "https://shop.example:port/ü",
        "https://shop.example:port/",
        "https://good.example\\@evil.example/",
        "https://127.0.0.1/",
        "https://[::1]/",
    ],
)
def test_nothing_else_is_redirected_to(url: str) -> None:
    assert location(url) is None


_URI = re.compile(r"([a-z]+)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.IGNORECASE | re.DOTALL)
_REST = st.text(
    st.sampled_from("abc/?#&=%+;:@[]{}|^`\"<>'~ \u00a0\u200b\u202e\u2066üß😀例\ufffe")
    | st.characters(exclude_categories=["Cs"])
)
_HOSTS = st.sampled_from(
    [
        "shop.example",
        "Shop.Example.",
        "bücher.example",
        "straße.example",
        "例え.テスト",
        "shop。example",
        "faß.example:8080",
    ]
)


def _read(url: str) -> tuple[object, ...]:
    """What a browser requests, read by nothing of ours but the host's name rule (RFC 3986, appendix B)."""
    found = _URI.fullmatch(url)
    assert found is not None, "not a URL"
    scheme, authority, *rest = found.groups()
    host, _, port = authority.partition(":")
    return (
        scheme.lower(),
        normalise_domain(host),
        port,
        *(None if part is None else unquote_to_bytes(part) for part in rest),
    )


def _escaped(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())


@given(st.sampled_from(["https", "HTTP"]), _HOSTS, st.sampled_from(["", "/", "?", "#"]), _REST)
@example("https", "shop.example", "/", "a b%20c%2Fd?x=%26&y=ü#ü")
def test_a_browser_reads_the_header_as_it_reads_the_destination(scheme: str, host: str, mark: str, rest: str) -> None:
    destination = f"{scheme}://{host}{mark}{rest if mark else ''}"
    header = location(destination)
    if header is None:
        return
    assert re.fullmatch(r"[!-~]+", header), "something else than visible ASCII"
    assert _read(header) == _read(destination)
    # Character by character: an escape or a separator that was there already is not touched.
    written = (mark + rest) if mark else ""
    assert header.endswith("".join(char if "!" <= char <= "~" else _escaped(char) for char in written))
    if destination.isascii() and " " not in destination:
        assert header == destination
    assert location(header) == header


def test_tracking_urls_carry_host_code_and_local_port() -> None:
    urls = TrackingUrls("http", 8080)
    assert urls.pixel("news.acme.example", "abc") == "http://news.acme.example:8080/o/abc.gif"
    assert TrackingUrls("https").click("go.acme.example", "abc") == "https://go.acme.example/c/abc"
    assert TrackingUrls("https").unsubscribe("go.acme.example", "abc") == "https://go.acme.example/u/abc"
