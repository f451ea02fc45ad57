"""What happens to a link, case by case: tracked, left, refused; and the reason and the cautions that are given."""

from __future__ import annotations

import pytest

from app.tracking.link_reasons import CAUTIONS, EXPLANATIONS, Action, Caution, Reason
from app.tracking.link_rules import Decision, decide
from tests.unit.tracking.deciding import allow_list, left, rules, tracked


def test_every_reason_and_caution_has_a_sentence_for_people() -> None:
    assert set(EXPLANATIONS) == set(Reason)
    assert set(CAUTIONS) == set(Caution)
    for sentence in (*EXPLANATIONS.values(), *CAUTIONS.values()):
        assert sentence[0].isupper()
        assert sentence.endswith((".", '".'))
        assert len(sentence) <= 110


# --- tracked as written -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://x.example/?a=1&b=2",
        "https://x.example/?q=fish%26chips",
        "https://x.example/p#grün",
        "https://x.example/p#section-2",
        "https://x.example/?ids[]=1&ids[]=2",
        "https://bücher.example/straße?x=😀",
        "https://xn--bcher-kva.example/",
        "http://x.example:8080/a;v=1?x",
        "https://b.example/k?X-Amz-Signature=aBc%2F&X-Amz-Date=2&A=1&a=2",
        "https://x.example/" + "a" * 2050,
        "https://x.example/" + "a" * (8192 - 18),
        "HTTPS://X.Example/Path",
        "https://x.example.",
        "https://x.example",
        "https://x.example?",
        "https://x.example/#",
        "https://x.example/%zz%",
        "https://x.example/a//b/../c/./d",
        "https://x.example/?u=https://y.example/&v='\"<>",
        "https://x.example/?a=1&amp;b=2",
        "https://x.example/?json={%22a%22:[1,2]}",
        "https://x.example/{a}",
        "https://x.example/?a=$b&c=50%&d=*|",
        "https://under_score.x.example/",
    ],
)
def test_a_web_link_is_tracked_and_kept_byte_for_byte(url: str) -> None:
    assert tracked(url) == url
    assert decide(url, rules()) == Decision(Action.TRACKED, Reason.WEB, url)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://x.example\n/path", "https://x.example/path"),
        (" \r\n\thttps://x.example/pa\n\tth\r\n \x0c", "https://x.example/path"),
        ("\x01\x1fhttps://x.example/\x1f", "https://x.example/"),
        ("ht\ntps://x.exa\rmple/", "https://x.example/"),
    ],
)
def test_blanks_that_the_url_standard_drops_are_dropped(written: str, meant: str) -> None:
    assert tracked(written) == meant


@pytest.mark.parametrize(
    ("url", "caution"),
    [
        ("https://x.example/a b", Caution.BLANK_IN_URL),
        ("https://x.example/?q=a b#c d", Caution.BLANK_IN_URL),
        ("https://x.example/a\u00a0b", Caution.BLANK_IN_URL),
        ("https://x.example/?id=5\u00a0", Caution.BLANK_IN_URL),
        ("https://x.example/a\u200bb", Caution.INVISIBLE_CHARACTERS),
        ("https://x.example/\ufeff", Caution.INVISIBLE_CHARACTERS),
        ("https://x.example/so\u00adft", Caution.INVISIBLE_CHARACTERS),
        ("https://x.example/\u202etxt.exe", Caution.BIDI_CHARACTERS),
        ("https://x.example/\u2066a\u2069", Caution.BIDI_CHARACTERS),
        ("https://аpple.example/", Caution.MIXED_SCRIPT_HOST),
        ("https://xn--pple-43d.example/", Caution.MIXED_SCRIPT_HOST),
        ("https://x.gοοgle.example/", Caution.MIXED_SCRIPT_HOST),
    ],
)
def test_what_deserves_a_look_is_tracked_as_written_with_a_caution(url: str, caution: Caution) -> None:
    assert decide(url, rules()) == Decision(Action.TRACKED, Reason.WEB, url, cautions=(caution,))


@pytest.mark.parametrize(
    "host",
    [
        "bücher",
        "пример",
        "例え",
        "日本のテスト",
        "カタカナとkanji漢字",
        "한국어",
        "δοκιμή",
        "پیکسل",
        "shop-24",
        "москва-2",
    ],
)
def test_one_language_in_a_host_deserves_no_caution(host: str) -> None:
    assert decide(f"https://{host}.example/", rules()).cautions == ()


def test_a_domain_that_opens_an_app_has_a_caution_until_it_is_listed_as_untracked() -> None:
    known = frozenset({"app.x.example"})
    assert decide("https://app.x.example/o", rules(app_link_domains=known)).cautions == (Caution.APP_LINK,)
    assert decide("https://www.x.example/o", rules(app_link_domains=known)).cautions == ()
    left("https://app.x.example/o", Reason.UNTRACKED_DOMAIN, app_link_domains=known, untracked_domains=known)


# --- what is no web link ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["", "  \n", "\t", "\x01"])
def test_no_url_is_left(url: str) -> None:
    left(url, Reason.EMPTY)


@pytest.mark.parametrize("url", ["#", "#top", " #top", "#https://x.example"])
def test_a_fragment_is_left(url: str) -> None:
    left(url, Reason.FRAGMENT)


@pytest.mark.parametrize("url", ["/path", "?q", "path/x", ".", "../x", "x.html#a", "\u00a0https://x.example", "%20"])
def test_a_relative_link_is_left_and_reported(url: str) -> None:
    left(url, Reason.RELATIVE, Caution.RELATIVE_URL)


@pytest.mark.parametrize("url", ["www.x.example", "WWW.x.example/a?b"])
def test_a_link_without_a_scheme_is_left_and_reported(url: str) -> None:
    left(url, Reason.RELATIVE, Caution.MISSING_SCHEME)


def test_a_host_with_a_port_and_no_scheme_is_left_and_reported() -> None:
    left("x.example:8080/a", Reason.OTHER_SCHEME, Caution.MISSING_SCHEME)


@pytest.mark.parametrize(
    "url",
    [
        "mailto:a@x.example",
        "MAILTO:a@x.example?body=https://x.example",
        "tel:+4930123",
        "sms:+4930123",
        "cid:part1",
        "callto:x",
        "geo:1,2",
        "webcal://x.example/a.ics",
        "intent://x.example#Intent;scheme=https;end",
        "shop://open?to=https://x.example",
        "whatsapp://send?text=https://x.example",
        "httpss://x.example",
        "git+https://x.example",
    ],
)
def test_other_schemes_are_left_without_a_word(url: str) -> None:
    left(url, Reason.OTHER_SCHEME)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "java\tscript:alert(1)",
        " \x01JaVaScRiPt:open('https://x.example')",
        "data:text/html,https://x.example",
        "vbscript:x",
        "file:///etc/passwd",
        "ftp://x.example/x",
        "blob:https://x.example/1",
        "view-source:https://x.example",
        "about:blank",
    ],
)
def test_what_runs_or_shows_itself_is_left_and_reported(url: str) -> None:
    left(url, Reason.UNSAFE_SCHEME, Caution.UNSAFE_SCHEME)


@pytest.mark.parametrize(
    "url",
    [
        "https://",
        "https:",
        "https:///x.example",
        "https:x.example",
        "https:/x.example",
        "https:\\\\x.example",
        "https://x.example\\@y.example/",
        "https://x.example/a\\b",
        "https://x.example\n  /path",
        "https://x y.example/",
        "https://x.example:99999/",
        "https://x.example:abc/",
        "https://x..example/",
        "https://-.x%41.example/",
        "https://x.example%00.y.example/",
        "https://x.example/\x00",
        "https://x.example/\x07a",
        "https://x.example/\x7f",
        "https://x.example/\x85",
        "https://<x>.example/",
        "https://a|b.example/",
        "https://☃.example/snow",
        "https://xn--a.example/",
    ],
)
def test_what_is_no_well_formed_url_is_left_and_reported(url: str) -> None:
    left(url, Reason.MALFORMED, Caution.MALFORMED_URL)


def test_a_zero_width_character_in_the_host_is_left_and_reported() -> None:
    left("https://x.example\u200b/", Reason.MALFORMED, Caution.MALFORMED_URL, Caution.INVISIBLE_CHARACTERS)


@pytest.mark.parametrize("url", ["//cdn.example/x", "//cdn.example", " //x.example?a"])
def test_protocol_relative_links_follow_the_brands_policy(url: str) -> None:
    left(url, Reason.PROTOCOL_RELATIVE, Caution.PROTOCOL_RELATIVE_URL)
    assert tracked(url, protocol_relative=True) == "https:" + url.strip()


def test_other_ways_to_write_two_slashes_are_never_tracked() -> None:
    for url in ("\\\\x.example", "/\\x.example", "\\/x.example"):
        left(url, Reason.PROTOCOL_RELATIVE, Caution.PROTOCOL_RELATIVE_URL, protocol_relative=True)


def test_a_url_that_no_server_takes_is_left_and_reported() -> None:
    left("https://x.example/" + "a" * 8175, Reason.TOO_LONG, Caution.URL_TOO_LONG)
    left("https://x.example/" + "a" * 3_000_000, Reason.TOO_LONG, Caution.URL_TOO_LONG)


@pytest.mark.parametrize(
    "url",
    [
        "https://a:b@x.example/",
        "https://a@x.example/",
        "https://@x.example/",
        "https://www.bank.example@evil.example/",
        "https://a:b@127.0.0.1/",
        "https://a@b@x.example/",
        "https://x%20y@x.example:8080/",
    ],
)
def test_user_and_password_are_left_and_reported(url: str) -> None:
    left(url, Reason.USER_INFO, Caution.USER_INFO)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[2001:db8::1]:8443/",
        "https://2130706433/",
        "https://127.1/",
        "https://0x7f.1/",
        "http://10.0.0.1:8080/x",
        "https://localhost/",
        "https://printer/",
        "https://printer.local/",
        "https://x.svc/",
    ],
)
def test_hosts_that_are_not_public_are_left_and_reported(url: str) -> None:
    left(url, Reason.PRIVATE_HOST, Caution.PRIVATE_HOST)


# --- what the brand says ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://t.shop.example/c/abc",
        "http://T.Shop.Example:8080/c/abc",
        "https://go.shop.example.",
        "https://t.shop.example:443/u/x?y#z",
    ],
)
def test_own_tracking_hosts_are_left_with_any_port(url: str) -> None:
    left(url, Reason.OWN_HOST)


def test_another_tenants_tracking_host_is_a_foreign_url_like_any() -> None:
    assert tracked("https://t.other.example/c/abc") == "https://t.other.example/c/abc"
    assert tracked("https://x.t.shop.example/") == "https://x.t.shop.example/"


def test_untracked_domains_reach_to_label_boundaries() -> None:
    domains = frozenset({"open.example", "xn--bcher-kva.example"})
    for url in (
        "https://open.example/",
        "https://a.b.open.example:1/",
        "https://bücher.example/",
        "https://OPEN.example",
    ):
        left(url, Reason.UNTRACKED_DOMAIN, untracked_domains=domains)
    for url in ("https://reopen.example/", "https://open.example.evil.example/", "https://example/x.open.example"):
        assert decide(url, rules(untracked_domains=domains)).reason is not Reason.UNTRACKED_DOMAIN


def test_hosts_outside_the_allow_list_are_refused() -> None:
    chosen = allow_list("shop.example")
    assert decide("https://www.shop.example/", chosen).action is Action.TRACKED
    for url in (
        "https://evil.example/",
        "https://shop.example.evil.example/",
        "https://evilshop.example/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://2130706433/",
        "https://printer/",
        "https://shop.example@evil.example/",
    ):
        assert decide(url, chosen) == Decision(Action.REFUSED, Reason.NOT_ALLOWED)
    assert decide("https://a:b@shop.example/", chosen).reason is Reason.USER_INFO
    assert decide("https://t.shop.example/c/x", chosen).reason is Reason.OWN_HOST


def test_blocked_domains_are_refused_even_where_nothing_is_tracked() -> None:
    blocked = frozenset({"bad.example"})
    for change in ({}, {"track_clicks": False}, {"untracked_domains": blocked}):
        for url in ("https://bad.example/", "https://x.bad.example/?q", "https://u:p@bad.example/"):
            found = decide(url, rules(blocked_domains=blocked, **change))
            assert found == Decision(Action.REFUSED, Reason.BLOCKED_DOMAIN)
            assert decide(url, rules(blocked_domains=blocked, **change), opted_out=True) == found
    assert tracked("https://notbad.example/", blocked_domains=blocked)


@pytest.mark.parametrize("url", ["https://x.example/", "https://evil.example/", "https://x.example/{{ id }}"])
def test_an_opt_out_and_clicks_that_are_off_leave_every_web_link(url: str) -> None:
    chosen = allow_list("x.example")
    assert decide(url, chosen, opted_out=True) == Decision(Action.LEFT, Reason.OPT_OUT)
    off = allow_list("x.example", track_clicks=False)
    assert decide(url, off) == Decision(Action.LEFT, Reason.CLICKS_OFF)


def test_thousands_of_domains_cost_no_more_than_one() -> None:
    many = frozenset(f"d{number}.example" for number in range(5000))
    left("https://x.d4999.example/", Reason.UNTRACKED_DOMAIN, untracked_domains=many)
    assert tracked("https://x.d5000.example/", untracked_domains=many)
