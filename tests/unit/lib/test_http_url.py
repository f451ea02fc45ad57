"""What a link destination and an endpoint URL may be, and that independent parsers read the same host as we do."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from app.lib.http_url import (
    MAX_DESTINATION_LENGTH,
    MAX_LOCATION_LENGTH,
    MAX_URL_LENGTH,
    check_destination,
    check_endpoint_url,
    covers,
    host_of_header,
    is_public_domain,
    normalise_domain,
    read_destination,
)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://shop.example", "shop.example"),
        ("http://Shop.EXAMPLE/Sale?x=1#Part", "shop.example"),
        ("HTTPS://shop.example", "shop.example"),
        ("https://shop.example.", "shop.example"),
        ("https://shop.example:8080/", "shop.example"),
        ("https://shop.example:/", "shop.example"),
        ("https://shop.example?next=https://evil.test/", "shop.example"),
        ("https://shop.example#@evil.test", "shop.example"),
        ("https://shop.example/@evil.test", "shop.example"),
        ("https://shop.example/%0d%0aSet-Cookie:%20a", "shop.example"),
        ("https://my_bucket.shop.example/", "my_bucket.shop.example"),
        ("https://r3---sn.shop.example/", "r3---sn.shop.example"),
        ("https://123.shop.example/", "123.shop.example"),
        ("https://bücher.example/ü?ü=ü", "xn--bcher-kva.example"),
        ("https://XN--BCHER-KVA.example/", "xn--bcher-kva.example"),
        ("https://straße.example/", "xn--strae-oqa.example"),
        ("https://ｓｈｏｐ．ｅｘａｍｐｌｅ/", "shop.example"),
        ("https://shop。example/", "shop.example"),
        ("https://例え.テスト/", "xn--r8jz45g.xn--zckzah"),
        ("http://localhost/", "localhost"),
    ],
)
def test_a_destination_gives_its_host_as_a_browser_looks_it_up(url: str, host: str) -> None:
    assert check_destination(url) == host


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "/path",
        "//shop.example/",
        "//evil",
        "https:evil.test",
        "https:/evil.test",
        "https:///evil.test",
        "https://",
        "https:///",
        "https://?x",
        "https://#x",
        "https://:443/",
        "https://./",
        "https://..",
        "javascript:alert(1)",
        "JaVaScRiPt://shop.example/%0aalert(1)",
        "data:text/html,x",
        "mailto:ann@shop.example",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "httpss://shop.example/",
        "xhttps://shop.example/",
        " https://shop.example/",
        "https://shop.example/a ",
        "https:// shop.example/",
        "https://shop .example/",
        "https://shop.example /",
        "https://shop.example :443/",
        "https://shop.example:4 43/",
        "https://shop\u00a0.example/",
        "https://shop\u3000.example/",
        "https://shop.example\u200b/",
        "https://shop.example\u2066/",
        "https://shop.example/a\tb",
        "https://shop.example/?a\nb",
        "https://shop.example/#a\u2029b",
        "https://shop.example/ ",
        "ht\ttps://shop.example/",
        "https://shop\t.example/",
        "https://shop.example/\t",
        "https://shop.example/\r\nSet-Cookie: a=b",
        "https://shop.example/\x00",
        "https://shop.example/\x7f",
        "https://shop.example/\x85",
        "https://shop.example/\u2028",
        "https://shop.example/\ud800",
        "https://good.test\\@evil.test",
        "https:\\\\evil.test\\",
        "https://shop.example/a\\b",
        "https://ann@shop.example/",
        "https://ann:secret@shop.example/",
        "https://@shop.example/",
        "https://shop.example@evil.test/",
        "https://shop.example:443@evil.test/",
        "https://good.test%00.evil.test/",
        "https://good.test%2eevil.test/",
        "https://%65vil.test/",
        "https://good.test%40evil.test/",
        "https://good.test℀.evil.test/",
        "https://evil.test／good.test",
        "https://good.test＠evil.test/",
        "https://shop..example/",
        "https://.shop.example/",
        "https://shop.example../",
        "https://-shop.example/",
        "https://shop-.example/",
        "https://sh,op.example/",
        "https://shop.example;evil.test/",
        "https://<shop>.example/",
        'https://shop".example/',
        "https://shop.example:80:90/",
        "https://shop.example:0/",
        "https://shop.example:65536/",
        "https://shop.example:-1/",
        "https://shop.example:8a/",
        "https://shop.example:٤٤٣/",
        "https://shop.example:+443/",
        "https://127.0.0.1/",
        "https://93.184.216.34/",
        "https://127.1/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://0/",
        "https://0x/",
        "https://shop.1/",
        "https://shop.0x1/",
        "https://１２７.0.0.1/",
        "https://①②⑦.0.0.1/",
        "https://[::1]/",
        "https://[::1/",
        "https://::1]/",
        "https://[v1.x]/",
        "https://shop.[::1].example/",
        "https://xn--a.example/",
        "https://xn--.example/",
        "https://xn--shop-.example/",
        "https://\u202eelpmaxe.shop/",
        "https://sh\u00adop.example/",
        "https://sh\u200bop.example/",
        "https://sh\ufe0fop.example/",
        "https://\ufeffshop.example/",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 130 + "example/",
        "https://shop.example/" + "x" * MAX_DESTINATION_LENGTH,
        "https://shop.example/" + "\U0001f600" * (MAX_LOCATION_LENGTH // 12),
    ],
)
def test_a_destination_two_parsers_could_read_differently_is_refused(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_destination(url)
    assert type(caught.value) is ValueError, "a foreign error came through"
    assert caught.value.args[0][0].islower()
    assert "secret" not in str(caught.value)


def test_the_longest_destination_is_accepted_and_one_more_is_not() -> None:
    longest = "https://shop.example/".ljust(MAX_DESTINATION_LENGTH, "x")
    assert check_destination(longest) == "shop.example"
    with pytest.raises(ValueError, match="8192"):
        check_destination(longest + "x")


def test_a_destination_that_grows_too_long_for_a_header_is_refused() -> None:
    base = "https://shop.example/"
    room = (MAX_LOCATION_LENGTH - len(base)) // 12
    assert len(read_destination(base + "\U0001f600" * room).location) == len(base) + 12 * room
    with pytest.raises(ValueError, match="14336"):
        read_destination(base + "\U0001f600" * (room + 1))


@pytest.mark.parametrize("rest", ["/a b", "/?q=a b&c", "/#a b", "/a\u00a0", "/a\u200bb", "/\u202egnp.exe", "/\u3000"])
def test_blanks_and_invisible_characters_are_accepted_after_the_host_only(rest: str) -> None:
    assert check_destination("https://shop.example" + rest) == "shop.example"
    with pytest.raises(ValueError):
        check_endpoint_url("https://shop.example" + rest)


_NASTY = st.text(alphabet="aé.:/@\\?#[]%0x1 \t\n-_①／。ß\u200d\u00ad", max_size=24)


@given(st.builds("https://{}.example{}".format, _NASTY, _NASTY) | st.builds("http:{}".format, _NASTY))
@example("https://good.test\\@evil.test")
@example("https://a.example:0080/")
def test_what_we_accept_urlsplit_and_yarl_read_as_the_same_host(url: str) -> None:
    try:
        host = check_destination(url)
    except ValueError:
        return
    split_host = urlsplit(url).hostname
    assert split_host is not None
    assert normalise_domain(split_host) == host
    assert normalise_domain(str(URL(url).raw_host)) == host


@given(st.text(max_size=60) | _NASTY)
def test_normalising_a_domain_twice_changes_nothing(text: str) -> None:
    try:
        name = normalise_domain(text)
    except ValueError:
        return
    assert normalise_domain(name) == name
    assert name == name.lower()
    assert name.isascii()


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://Hooks.Shop.example", "https://hooks.shop.example/"),
        ("HTTPS://hooks.shop.example:443/a?b=c", "https://hooks.shop.example/a?b=c"),
        ("https://hooks.shop.example:8443/A%2fb", "https://hooks.shop.example:8443/A%2fb"),
        ("https://hooks.shop.example?x=1", "https://hooks.shop.example/?x=1"),
        ("https://hooks.bücher.example./in", "https://hooks.xn--bcher-kva.example/in"),
    ],
)
def test_an_endpoint_url_is_normalised(url: str, normal: str) -> None:
    assert check_endpoint_url(url) == normal
    assert check_endpoint_url(normal) == normal


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.shop.example/",
        "https://hooks.shop.example/#",
        "https://hooks.shop.example/#part",
        "https://hooks.shop.example:8080/",
        "https://hooks.shop.example:80/",
        "https://ann@hooks.shop.example/",
        "https://hooks.shop.example/ü",
        "https://hooks.shop.example/a b",
        "https://hooks.shop.example/".ljust(MAX_URL_LENGTH + 1, "x"),
        "https://localhost/",
        "https://hooks/",
        "https://printer.local/",
        "https://metadata.internal/",
        "https://metadata.google.internal/",
        "https://a.localhost/",
        "https://app.default.svc/",
        "https://app.default.svc.cluster.local/",
        "https://1.0.0.127.in-addr.arpa/",
        "https://printer.LOCAL./",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://0/",
        "https://１２７．0．0．1/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data/",
        "http://evil.com\\@127.0.0.1/",
    ],
)
def test_an_endpoint_url_that_is_not_public_https_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        check_endpoint_url(url)


def test_plain_http_and_other_ports_need_the_operator() -> None:
    assert check_endpoint_url("http://hooks.shop.example:80/", allow_http=True) == "http://hooks.shop.example/"
    assert check_endpoint_url("https://hooks.shop.example:9443/", extra_ports={9443}).endswith(":9443/")
    with pytest.raises(ValueError, match="port"):
        check_endpoint_url("http://hooks.shop.example:9443/", allow_http=True)


def test_a_literal_address_is_accepted_only_inside_the_operators_networks() -> None:
    networks = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
    for url in ("http://127.0.0.1:9001/in", "http://[::1]:9001/in"):
        assert check_endpoint_url(url, allow_http=True, allow_networks=networks) == url
    for url in ("http://127.1:9001/", "http://10.0.0.1:9001/", "http://[::2]/", "http://[::1%25lo]/"):
        with pytest.raises(ValueError):
            check_endpoint_url(url, allow_http=True, allow_networks=networks)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("T.Shop.Example", "t.shop.example"),
        ("t.shop.example:8080", "t.shop.example"),
        ("t.shop.example.:80", "t.shop.example"),
        ("t.shop.example:", "t.shop.example"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        ("", ""),
        (":80", ":80"),
        ("t.shop.example:8o", "t.shop.example:8o"),
    ],
)
def test_a_host_header_loses_port_case_and_trailing_dot(text: str, host: str) -> None:
    assert host_of_header(text) == host


def test_subdomains_end_at_a_label_boundary() -> None:
    domains = frozenset({"shop.example", "x.y.example"})
    assert covers(domains, "shop.example")
    assert covers(domains, "a.b.shop.example")
    assert not covers(domains, "evilshop.example")
    assert not covers(domains, "example")
    assert not covers(domains, "y.example")
    assert not covers(frozenset(), "shop.example")
    assert is_public_domain("shop.example")
    assert not is_public_domain("localhost")


def test_an_endpoint_on_a_host_of_ours_is_refused_however_it_is_written() -> None:
    def is_ours(host: str) -> bool:
        return host == "t.shop.example"

    assert check_endpoint_url("https://hooks.shop.example/in", is_ours=is_ours)
    for url in ("https://t.shop.example/u/x", "https://T.Shop.Example./u/x", "https://t.shop.example:8443/"):
        with pytest.raises(ValueError, match="one of our own"):
            check_endpoint_url(url, is_ours=is_ours)
