"""Campaign parameters: a brand's own, a message's own, or none; and nothing else of a URL is touched."""

from __future__ import annotations

from typing import Any

import pytest

from app.services import Services
from tests.integration.api.api_bodies import Call, assert_problem, email, sms
from tests.integration.api.visitor import Visitor, change_brand

URL = "https://www.alder.example/a?x=1&y=%2F&z[]=ü#frag"
BRAND = "links: {utm: {source: newsletter, medium: '{channel}', campaign: '{campaign_id}', content: '{list_id}'}}"


def links(call: Call, url: str = URL, **change: Any) -> list[str]:
    html = f'<a href="{url.replace("&", "&amp;")}">x</a>'
    response = call("POST", "/v1/messages", email(content={"html": html, "text": f"See {url} now"}, **change))
    assert response.status_code == 201, response.get_data(as_text=True)
    (message,) = response.get_json()["messages"]
    return [link["url"] for link in message["links"]]


def test_without_any_the_url_stays_as_it_is(call: Call) -> None:
    assert links(call) == [URL]
    assert links(call, utm="none") == [URL]
    assert links(call, utm={}) == [URL]


def test_a_brands_parameters_are_filled_and_added_in_front_of_the_fragment(
    call: Call, services: Services, visitor: Visitor
) -> None:
    change_brand(services, BRAND)
    expected = "&utm_source=newsletter&utm_medium=email&utm_campaign=spring&utm_content=news"
    assert links(call) == [URL.replace("#", expected + "#")]
    assert links(call, "https://alder.example") == [f"https://alder.example?{expected[1:]}"]
    assert links(call, list_id=None, campaign_id=None) == [URL.replace("#", "&utm_source=newsletter&utm_medium=email#")]
    response = call("POST", "/v1/messages", sms(campaign_id="spring")).get_json()
    (link,) = response["messages"][0]["links"]
    assert link["url"] == ("https://alder.example/job/1?utm_source=newsletter&utm_medium=sms&utm_campaign=spring")
    assert visitor.location(link["tracked_url"]) == link["url"]


def test_a_message_has_its_own_instead(call: Call, services: Services) -> None:
    change_brand(services, BRAND)
    assert links(call, utm={"term": "a&b/c", "campaign": "{campaign_id}-x"}) == [
        URL.replace("#", "&utm_campaign=spring-x&utm_term=a%26b%2Fc#")
    ]
    assert links(call, utm="none") == [URL]
    assert links(call, utm={}) == [URL]


def test_what_the_author_wrote_stays_unless_it_is_to_be_replaced(call: Call) -> None:
    url = "https://www.alder.example/?utm_source=own&UTM_Medium=own&a=1"
    given = {"source": "ours", "medium": "ours", "campaign": "ours"}
    assert links(call, url, utm=given) == [f"{url}&utm_campaign=ours"]
    assert links(call, url, utm={**given, "existing": "replace"}) == [
        "https://www.alder.example/?utm_source=ours&utm_medium=ours&a=1&utm_campaign=ours"
    ]


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=ab%2Fcd",
        "GoogleAccessId=a&Expires=1&Signature=x%2By",
        "X-Goog-Signature=00",
        "sv=2020&sig=x%3D",
        "Expires=1&Key-Pair-Id=K&Signature=s",
    ],
)
def test_a_signed_url_stays_byte_for_byte(call: Call, services: Services, visitor: Visitor, query: str) -> None:
    change_brand(services, BRAND)
    url = f"https://files.alder.example/b/k.pdf?{query}"
    assert links(call, url) == [url]
    assert links(call, url, utm={"source": "x", "existing": "replace"}) == [url]
    link = call("POST", "/v1/links", {"destination": url}).get_json()
    assert visitor.location(link["url"]) == url


def test_links_that_are_left_alone_get_none(call: Call) -> None:
    html = '<a href="mailto:a@alder.example">m</a><a data-track="off" href="https://alder.example/">x</a>'
    body = email(content={"html": html}, utm={"source": "s"}, pixel="none")
    (message,) = call("POST", "/v1/messages", body).get_json()["messages"]
    assert "utm_" not in message["html"]


@pytest.mark.parametrize(
    "utm",
    [
        "all",
        {"source": ""},
        {"source": "a\nb"},
        {"source": "{address}"},
        {"source": "x" * 300},
        {"id": "x"},
        {"existing": "drop"},
        {"source": 1},
        [],
    ],
)
def test_parameters_that_make_no_sense_are_refused(call: Call, utm: object) -> None:
    assert_problem(call("POST", "/v1/messages", email(utm=utm)), 422, "invalid_request")
    body = {"destination": "https://alder.example/", "utm": utm}
    assert_problem(call("POST", "/v1/links", body), 422, "invalid_request")


def test_a_fault_is_told_once_and_where_it_is(call: Call) -> None:
    for utm, pointer in (({"term": "a b"}, "/utm/term"), ("all", "/utm"), ({"id": "x"}, "/utm/id"), ([], "/utm")):
        problem = assert_problem(call("POST", "/v1/messages", email(utm=utm)), 422, "invalid_request")
        assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_a_change_of_the_brands_parameters_is_no_repeat(call: Call, services: Services) -> None:
    assert call("POST", "/v1/messages", email(), idempotency="k").status_code == 201
    change_brand(services, BRAND)
    assert_problem(call("POST", "/v1/messages", email(), idempotency="k"), 409, "idempotency_settings_changed")
    assert call("POST", "/v1/messages", email(utm="none"), idempotency="k2").status_code == 201
