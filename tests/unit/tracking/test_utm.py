"""Campaign parameters: where they go, what wins, and that nothing else of a URL changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.brands.brand import Utm
from app.tracking.utm import SIGNATURES, UtmParameters, merge, parameters_of

KEEP = UtmParameters((("utm_source", "news"), ("utm_medium", "email")))
REPLACE = UtmParameters(KEEP.fields, replace=True)
ADDED = "utm_source=news&utm_medium=email"


@pytest.mark.parametrize(
    ("url", "merged"),
    [
        ("https://x.example", "https://x.example?@"),
        ("https://x.example/", "https://x.example/?@"),
        ("https://x.example/a", "https://x.example/a?@"),
        ("https://x.example/a?", "https://x.example/a?@"),
        ("https://x.example/a?b=1", "https://x.example/a?b=1&@"),
        ("https://x.example/a?b=1&", "https://x.example/a?b=1&@"),
        ("https://x.example/a?b=1;", "https://x.example/a?b=1;@"),
        ("https://x.example/a;v=1?b=1;c=2", "https://x.example/a;v=1?b=1;c=2&@"),
        ("https://x.example/a#f", "https://x.example/a?@#f"),
        ("https://x.example/#/app?b=1", "https://x.example/?@#/app?b=1"),
        ("https://x.example/a?b=1#f?g#h", "https://x.example/a?b=1&@#f?g#h"),
        ("https://x.example/a?#", "https://x.example/a?@#"),
        ("https://x.example/a?b=%26&c=+&c=ü&d[]", "https://x.example/a?b=%26&c=+&c=ü&d[]&@"),
        ("https://x.example/a?b?c=1", "https://x.example/a?b?c=1&@"),
        ("https://x.example/{{id}}?b={{v}}#{{id}}", "https://x.example/{{id}}?b={{v}}&@#{{id}}"),
        ("https://x.example/?utm_id=7&UTM=1", "https://x.example/?utm_id=7&UTM=1&@"),
    ],
)
def test_parameters_go_behind_the_query_and_before_the_fragment(url: str, merged: str) -> None:
    assert merge(url, KEEP) == merge(url, REPLACE) == merged.replace("@", ADDED)


@pytest.mark.parametrize(
    ("url", "kept", "replaced"),
    [
        ("?utm_source=own", "?utm_source=own&utm_medium=email", "?utm_source=news&utm_medium=email"),
        ("?a&utm_source=own&b", "?a&utm_source=own&b&utm_medium=email", "?a&utm_source=news&b&utm_medium=email"),
        ("?utm_medium=x&utm_source=own", "?utm_medium=x&utm_source=own", "?utm_medium=email&utm_source=news"),
        ("?utm_source&utm_medium=", "?utm_source&utm_medium=", "?utm_source=news&utm_medium=email"),
        ("?a;utm_source=own;b", "?a;utm_source=own;b&utm_medium=email", "?a;utm_source=news;b&utm_medium=email"),
        ("?utm%5Fsource=own", "?utm%5Fsource=own&utm_medium=email", "?utm_source=news&utm_medium=email"),
        ("?UTM_Source=own", "?UTM_Source=own&utm_medium=email", "?utm_source=news&utm_medium=email"),
        (
            "?utm_source=a&utm_source=b",
            "?utm_source=a&utm_source=b&utm_medium=email",
            f"?{ADDED.replace('&', '&utm_source=news&')}",
        ),
        ("#utm_source=own", f"?{ADDED}#utm_source=own", f"?{ADDED}#utm_source=own"),
    ],
)
def test_the_policy_says_whose_parameter_wins(url: str, kept: str, replaced: str) -> None:
    assert merge("https://x.example/" + url, KEEP) == "https://x.example/" + kept
    assert merge("https://x.example/" + url, REPLACE) == "https://x.example/" + replaced


@pytest.mark.parametrize("names", SIGNATURES, ids=lambda names: "+".join(sorted(names)))
def test_signed_urls_stay_as_they_are(names: frozenset[str]) -> None:
    query = "&".join(f"{name.title()}=Ab%2F" for name in names)
    for url in (f"https://x.example/k?b=1&{query}&a=2#f", f"https://x.example/?utm_source=own&{query}"):
        assert merge(url, KEEP) == merge(url, REPLACE) == url


@pytest.mark.parametrize("query", ["expires=1", "md5=1", "key-pair-id=1", "design=1", "a=signature", "x=sig"])
def test_half_a_signature_is_none(query: str) -> None:
    assert merge(f"https://x.example/?{query}", KEEP).endswith(ADDED)


def test_parameters_are_filled_and_percent_encoded() -> None:
    utm = Utm(
        (("utm_source", "a&b#c"), ("utm_campaign", "{campaign_id}-{channel}"), ("utm_term", "{list_id}")), replace=True
    )
    about = {"campaign_id": "Frühling 50% {list_id} {{x}}", "channel": "email", "list_id": None}
    found = parameters_of(utm, about)
    assert found == UtmParameters(
        (
            ("utm_source", "a%26b%23c"),
            ("utm_campaign", "Fr%C3%BChling%2050%25%20%7Blist_id%7D%20%7B%7Bx%7D%7D-email"),
        ),
        replace=True,
    )
    assert parameters_of(None, about) is None
    assert parameters_of(Utm((("utm_term", "{list_id}"),)), about) is None


@given(
    st.text(st.sampled_from("/?#&=;%2[]'+.:@utm_soürce 😀"), max_size=40).map(lambda tail: "https://x.example/" + tail),
    st.booleans(),
)
def test_nothing_the_author_wrote_changes_and_a_second_time_adds_nothing(url: str, replace: bool) -> None:
    parameters = UtmParameters(KEEP.fields, replace=replace)
    merged = merge(url, parameters)
    assert merge(merged, parameters) == merged
    if not replace:
        head, mark, fragment = url.partition("#")
        assert merged.startswith(head)
        assert merged.endswith(mark + fragment)
        added = merged[len(head) : len(merged) - len(mark + fragment)]
        assert added.lstrip("?&").removeprefix("utm_source=news").lstrip("&") in ("", "utm_medium=email")
