"""What happens to links with placeholders, and what campaign parameters add to links."""

from __future__ import annotations

import pytest

from app.lib.http_url import MAX_LOCATION_LENGTH, read_destination
from app.tracking.link_reasons import Action, Caution, Reason
from app.tracking.link_rules import Decision, decide, refusal_of_values
from app.tracking.utm import UtmParameters
from tests.unit.tracking.deciding import allow_list, left, rules, tracked

# --- placeholders -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "{{unsubscribe_url}}",
        "{{ unsubscribe_url }}",
        "%7B%7Bunsubscribe_url%7D%7D",
        "http://%7b%7B%20unsubscribe_url%20%7d%7D",
        "https://x.example/?u={{unsubscribe_url}}",
    ],
)
def test_the_unsubscribe_placeholder_is_never_tracked(url: str) -> None:
    left(url, Reason.UNSUBSCRIBE, values=frozenset({"unsubscribe_url"}))


@pytest.mark.parametrize(
    "url", ["{{ web_view }}", "{{preferences_url}}", "{{view_in_browser_url}}?x=1", "%7B%7Bweb_view%7D%7D"]
)
def test_reserved_placeholders_are_never_tracked(url: str) -> None:
    left(url, Reason.RESERVED, values=frozenset({"web_view", "preferences_url"}))


@pytest.mark.parametrize(
    "url",
    [
        "https://x.example/{{ id }}",
        "https://x.example/%7B%7Bid%7D%7D",
        "{{ url }}",
        "{{ base }}/path",
        "https://x.example/{{#if a}}b{{/if}}",
        "https://x.example/{{ id | upper }}",
        "https://x.example/{{",
        "https://x.example/{% if a %}b{% endif %}",
        "https://x.example/<%= id %>",
        "https://x.example/*|ID|*",
        "https://x.example/%%id%%",
        "https://x.example/%%=v(@id)=%%",
        "https://x.example/${id}",
    ],
)
def test_a_placeholder_without_a_value_is_left_and_reported(url: str) -> None:
    left(url, Reason.PLACEHOLDER, Caution.FILLED_LATER)
    left(url, Reason.PLACEHOLDER, Caution.FILLED_LATER, values=frozenset({"other"}))


@pytest.mark.parametrize(
    ("url", "template"),
    [
        ("https://x.example/{{ id }}", "https://x.example/{{id}}"),
        ("https://x.example/o/{{id}}/e?v={{ v }}&w=1#{{\tid}}", "https://x.example/o/{{id}}/e?v={{v}}&w=1#{{id}}"),
        ("https://x.example/%7B%7B%20id%20%7D%7D", "https://x.example/{{id}}"),
        ("https://x.example?{{id}}", "https://x.example?{{id}}"),
        ("{{ url }}", "{{url}}"),
        ("{{{ url }}}", "{{url}}"),
        ("https://x.example/{{{id}}}/{{{{v}}}}", "https://x.example/{{id}}/{{{v}}}"),
    ],
)
def test_a_placeholder_with_a_value_is_a_personalised_link(url: str, template: str) -> None:
    found = decide(url, rules(values=frozenset({"id", "v", "url"})))
    assert found == Decision(Action.TRACKED, Reason.PERSONAL, template, personal=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://{{id}}.example/",
        "https://{{id}}/x",
        "https://x.example:{{id}}/",
        "https://x.example{{id}}",
        "{{id}}/x",
        "/{{id}}",
        "mailto:{{id}}",
        "http{{id}}://x.example/",
        "https://{{id}}@x.example/",
    ],
)
def test_a_placeholder_before_the_path_is_left_and_reported(url: str) -> None:
    left(url, Reason.PLACEHOLDER, Caution.PLACEHOLDER_IN_HOST, values=frozenset({"id"}))


def test_one_unknown_name_leaves_the_whole_link() -> None:
    left("https://x.example/{{id}}/{{other}}", Reason.PLACEHOLDER, Caution.FILLED_LATER, values=frozenset({"id"}))


def test_a_personalised_link_obeys_the_brand_like_any_other() -> None:
    values = frozenset({"id"})
    assert decide("https://evil.example/{{id}}", allow_list("x.example", values=values)).reason is Reason.NOT_ALLOWED
    left("https://t.shop.example/{{id}}", Reason.OWN_HOST, values=values)
    left("https://127.0.0.1/{{id}}", Reason.PRIVATE_HOST, Caution.PRIVATE_HOST, values=values)
    assert decide("//x.example/{{id}}", rules(values=values, protocol_relative=True)).personal


def test_values_are_asked_whether_they_may_fill_a_link() -> None:
    chosen = allow_list("x.example")
    assert refusal_of_values("https://x.example/{{id}}", {"id": "a/b?c#d"}, chosen) is None
    assert refusal_of_values("{{url}}", {"url": "https://x.example/a"}, chosen) is None
    untracked = allow_list("x.example", untracked_domains=frozenset({"x.example", "y.example"}))
    assert refusal_of_values("{{url}}", {"url": "https://x.example/a"}, untracked) is None
    assert refusal_of_values("{{url}}", {"url": "https://y.example/a"}, untracked) is not None
    for template, values in (
        ("https://x.example/{{id}}", {}),
        ("https://x.example/{{id}}/x", {"id": ".."}),
        ("https://x.example/{{id}}", {"id": "a" * 8192}),
        ("https://x.example/{{id}}", {"id": "\ud800"}),
        ("{{url}}", {"url": "https://evil.example/"}),
        ("{{url}}", {"url": "javascript:alert(1)"}),
        ("{{url}}", {"url": "https://t.shop.example/c/x"}),
        ("{{url}}", {"url": "https://x.example/{{url}}"}),
        ("{{url}}", {"url": " https://x.example/"}),
        ("{{url}}", {"url": ""}),
    ):
        refusal = refusal_of_values(template, values, chosen)
        assert refusal is not None
        assert "evil" not in refusal


# --- campaign parameters ------------------------------------------------------------------------------------------

UTM = UtmParameters((("utm_source", "news"),))


def test_campaign_parameters_are_part_of_the_destination() -> None:
    assert tracked("https://x.example/a?b#c", utm=UTM) == "https://x.example/a?b&utm_source=news#c"
    personal = decide("https://x.example/{{id}}#c", rules(utm=UTM, values=frozenset({"id"})))
    assert personal.destination == "https://x.example/{{id}}?utm_source=news#c"
    whole = decide("{{id}}", rules(utm=UTM, values=frozenset({"id"})))
    assert whole.destination == "{{id}}"


def test_campaign_parameters_never_make_a_url_too_long() -> None:
    url = "https://x.example/" + "a" * (8192 - 18)
    assert tracked(url, utm=UTM) == url
    almost = "https://x.example/" + "ü" * ((MAX_LOCATION_LENGTH - 36) // 6)
    assert read_destination(tracked(almost, utm=UTM))


def test_links_that_are_not_tracked_get_no_campaign_parameters() -> None:
    left("https://t.shop.example/", Reason.OWN_HOST, utm=UTM)
    assert decide("https://x.example/", rules(utm=UTM), opted_out=True).destination == ""
