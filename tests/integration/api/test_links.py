"""`POST /v1/links`: one short link, for somebody or for nobody."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.models.event import EventKind
from app.services import Services
from tests.integration.api.api_bodies import Call, assert_problem
from tests.integration.api.visitor import Visitor, block_of, change_brand

URL = "https://www.alder.example/a?x=1&y=%2F#z"
ANN = {"address": "+4915112345678", "id": "c-1", "name": "Ann"}


def make(call: Call, **body: Any) -> dict[str, Any]:
    response = call("POST", "/v1/links", {"destination": URL, **body})
    assert response.status_code == 201, response.get_data(as_text=True)
    found: dict[str, Any] = response.get_json()
    return found


def refused(call: Call, code: str = "invalid_request", **body: Any) -> list[str]:
    problem = assert_problem(call("POST", "/v1/links", {"destination": URL, **body}), 422, code)
    return [error["pointer"] for error in problem.get("errors", [])]


def stored(services: Services) -> list[int]:
    return [services.database[name].count_documents({}) for name in ("blocks", "messages", "idempotency")]


def test_a_link_for_nobody_is_short_and_leads_where_it_should(call: Call, visitor: Visitor, services: Services) -> None:
    link = make(call)
    assert re.fullmatch(r"http://go\.alder\.example/c/[A-Za-z2-9]{2,10}", link["url"])
    assert (link["destination"], link["link_id"], link["warnings"]) == (URL, "lnk_1", [])
    assert not {"text", "unsubscribe_url"} & link.keys()
    assert visitor.location(link["url"]) == URL
    assert stored(services) == [1, 0, 0]


def test_a_click_on_it_is_an_event_like_any_other(call: Call, visitor: Visitor) -> None:
    endpoint = call("POST", "/v1/endpoints", {"url": "https://hooks.alder.example/in", "mode": "full"}).get_json()
    link = make(call, campaign_id="poster", job_source="station")
    visitor.get(link["url"])
    visitor.ingest()
    (event,) = call("GET", "/v1/events").get_json()["events"]
    assert (event["type"], event["message_id"], event["link_id"]) == ("message.clicked", link["id"], "lnk_1")
    assert (event["url"], event["campaign_id"], event["first"]) == (URL, "poster", True)
    (told,) = visitor.webhooks(endpoint["id"])
    assert (told["data"]["url"], told["data"]["job_source"]) == (URL, "station")
    assert told["data"]["recipient"] == {"id": link["id"]}


def test_a_link_for_nobody_can_be_looked_at(call: Call, visitor: Visitor) -> None:
    response = call("POST", "/v1/links", {"destination": URL, "campaign_id": "poster", "list_id": "l"})
    link = response.get_json()
    assert response.headers["Location"] == f"/v1/messages/{link['id']}"
    shown = call("GET", response.headers["Location"]).get_json()
    assert (shown["id"], shown["state"], shown["erased"]) == (link["id"], "registered", False)
    assert (shown["channel"], shown["campaign_id"], shown["list_id"]) == ("sms", "poster", "l")
    assert (shown["metadata"], shown["events"]) == ({}, [])
    assert "recipient" not in shown
    visitor.get(link["url"])
    visitor.ingest()
    assert call("GET", response.headers["Location"]).get_json()["state"] == "clicked"
    path = f"{response.headers['Location']}/events"
    assert call("POST", path, {"type": "sent"}).status_code == 200


def test_only_its_own_brand_and_only_its_own_id_find_it(call: Call, services: Services) -> None:
    link = make(call)
    number = services.codes.message_number(link["id"])
    assert number is not None
    assert_problem(call("GET", f"/v1/messages/{link['id']}", brand="birch"), 404, "not_found")
    for other in (number + 4, number + 5, number - 1):
        assert_problem(call("GET", f"/v1/messages/{services.codes.message_id(other)}"), 404, "not_found")


def test_a_link_for_somebody_belongs_to_a_message(call: Call, visitor: Visitor) -> None:
    link = make(call, recipient={**ANN, "metadata": {"order": "1"}}, metadata={"order": "0", "shop": "n"}, list_id="l")
    assert visitor.location(link["url"]) == URL
    assert visitor.get(link["unsubscribe_url"], "POST").status_code == 200
    shown = call("GET", f"/v1/messages/{link['id']}").get_json()
    assert shown["recipient"]["address"] == ANN["address"]
    assert shown["metadata"] == {"order": "1", "shop": "n"}
    held = call("POST", "/v1/recipients/export", {"address": ANN["address"]}).get_json()
    assert [(row["list_id"], row["reason"]) for row in held["suppressions"]] == [("l", "unsubscribed")]


def test_a_text_comes_back_filled_with_its_segments(call: Call) -> None:
    text = "Hi! {{link}} and https://www.alder.example/untouched Stop: {{ unsubscribe_url }}"
    link = make(call, text=text, recipient=ANN)
    assert link["text"] == (
        f"Hi! {link['url']} and https://www.alder.example/untouched Stop: {link['unsubscribe_url']}"
    )
    before, after = link["segments"]["before"], link["segments"]["after"]
    assert (before["encoding"], before["segments"]) == ("GSM-7", 1)
    assert before["units"] == len(text.replace("{{link}}", URL)) + 4  # braces take two septets each
    assert after["units"] >= len(link["text"])


def test_the_place_of_the_link_stands_there_exactly_once(call: Call, services: Services) -> None:
    for text in ("no place", "{{ link }} {{link}}", "{{ link", "{{ Link }}"):
        assert refused(call, text=text) == ["/text"]
    assert stored(services) == [0, 0, 0]
    assert make(call, text="{{ link }}")["text"].startswith("http://go.alder.example/c/")


def test_without_a_recipient_nobody_can_unsubscribe_by_it(call: Call) -> None:
    assert refused(call, text="{{ link }} {{unsubscribe_url}}") == ["/text"]


def test_without_a_recipient_there_is_nothing_personal(call: Call) -> None:
    assert refused(call, metadata={"a": "b"}, values={"c": "d"}) == ["/metadata", "/values"]


@pytest.mark.parametrize(
    ("destination", "code"),
    [
        ("https://evil.example/", "invalid_destination"),
        ("https://alder.example@evil.example/", "invalid_destination"),
        ("https://a:b@alder.example/", "invalid_request"),
        ("https://click.alder.example/c/abc", "invalid_request"),
        ("/relative", "invalid_request"),
        ("?q", "invalid_request"),
        ("#here", "invalid_request"),
        ("//alder.example/", "invalid_request"),
        ("alder.example", "invalid_request"),
        ("javascript:alert(1)", "invalid_request"),
        ("mailto:ann@alder.example", "invalid_request"),
        ("https://alder.example/{{ id }}", "invalid_request"),
        ("https://alder.example/{% x %}", "invalid_request"),
        ("{{unsubscribe_url}}", "invalid_request"),
        ("https://alder.example/\r\nSet-Cookie: a=b", "invalid_request"),
        ("https://alder.example/a\tb", "invalid_request"),
        ("https://alder.example/" + "x" * 8171, "invalid_request"),
        (" ", "invalid_request"),
        ("", "invalid_request"),
    ],
)
def test_a_destination_that_cannot_be_tracked_is_refused(
    call: Call, services: Services, destination: str, code: str
) -> None:
    assert refused(call, code, destination=destination) == ["/destination"]
    assert stored(services) == [0, 0, 0]


def test_the_longest_destination_makes_a_short_link(call: Call, visitor: Visitor) -> None:
    url = "https://alder.example/" + "x" * 8170
    link = make(call, destination=url)
    assert len(link["url"]) <= 200
    assert visitor.location(link["url"]) == url


def test_blanks_around_a_destination_do_not_count(call: Call) -> None:
    assert make(call, destination=f" {URL} ")["destination"] == URL


def test_a_strange_destination_is_warned_of(call: Call) -> None:
    (warning,) = make(call, destination="https://alder.example/a\u200bb")["warnings"]
    assert (warning["part"], warning["code"]) == ("destination", "invisible_characters")


def test_untracked_domains_have_no_short_links(call: Call, services: Services) -> None:
    change_brand(services, "links: {untracked_domains: [www.alder.example]}")
    assert refused(call) == ["/destination"]


def test_a_brand_that_tracks_no_clicks_has_no_tracked_links(call: Call) -> None:
    assert_problem(call("POST", "/v1/links", {"destination": URL}, brand="cedar"), 422, "invalid_request")
    body = {"destination": URL, "tracking": {"clicks": True}}
    assert_problem(call("POST", "/v1/links", body, brand="cedar"), 422, "tracking_not_allowed")
    assert refused(call, tracking={"clicks": False}) == ["/destination"]


def test_a_link_for_an_email_stands_on_the_brands_first_host(call: Call, visitor: Visitor) -> None:
    link = make(call, channel="email", recipient={"address": "ann@mail.example"}, text="Here: {{ link }}")
    assert link["url"].startswith("http://click.alder.example/c/")
    assert link["text"] == f"Here: {link['url']}"
    assert "segments" not in link
    assert visitor.location(link["url"]) == URL


def test_a_channel_that_the_brand_does_not_use_is_refused(call: Call) -> None:
    assert_problem(call("POST", "/v1/links", {"destination": URL}, brand="birch"), 422, "channel_not_enabled")


def test_recipient_and_channel_have_to_fit(call: Call) -> None:
    assert refused(call, recipient={"address": "ann@mail.example"}) == ["/recipient/address"]
    assert refused(call, channel="email", recipient=ANN) == ["/recipient/address"]
    long = {**ANN, "metadata": {"a": "x" * 1500}}
    assert refused(call, recipient=long, metadata={"b": "x" * 1500}) == ["/recipient/metadata"]


def test_a_personalised_destination_is_filled(call: Call, visitor: Visitor, services: Services) -> None:
    link = make(
        call,
        destination="https://alder.example/{{ order }}?v={{ v }}",
        values={"v": "1", "order": "x"},
        recipient={**ANN, "values": {"order": "A/1"}},
    )
    assert link["destination"] == "https://alder.example/{{order}}?v={{v}}"
    assert visitor.location(link["url"]) == "https://alder.example/A%2F1?v=1"
    assert "A/1" not in repr(block_of(services, link["id"]))
    call("POST", "/v1/recipients/erase", {"address": ANN["address"]})
    assert visitor.location(link["url"]) == "https://alder.example/"


def test_values_that_do_not_fill_it_are_refused(call: Call) -> None:
    destination = "https://alder.example/{{ order }}?v={{ v }}"
    assert refused(call, "invalid_values", destination=destination, recipient=ANN, values={"order": "..", "v": ""}) == [
        "/values"
    ]
    assert refused(call, destination=destination, recipient=ANN, values={"v": "1"}) == ["/destination"]


def test_the_recipients_number_in_the_destination_is_not_in_the_block(
    call: Call, visitor: Visitor, services: Services
) -> None:
    url = "https://alder.example/?a=1&tel=%2b4915112345678"
    link = make(call, destination=url, recipient=ANN)
    assert link["destination"] == url
    assert visitor.location(link["url"]) == url
    assert "15112345678" not in repr(block_of(services, link["id"]))


def test_campaign_parameters_are_merged(call: Call, visitor: Visitor) -> None:
    link = make(call, utm={"source": "sms"}, destination="https://alder.example/?a=1#f")
    assert link["destination"] == "https://alder.example/?a=1&utm_source=sms#f"
    assert visitor.location(link["url"]) == link["destination"]


def test_the_same_call_again_gives_the_same_link(call: Call, services: Services) -> None:
    body = {"destination": URL, "recipient": ANN}
    first = call("POST", "/v1/links", body, idempotency="k")
    again = call("POST", "/v1/links", body, idempotency="k")
    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"
    assert stored(services) == [1, 1, 1]
    assert call("POST", "/v1/links", body).get_json()["url"] != first.get_json()["url"]
    assert_problem(call("POST", "/v1/links", {**body, "list_id": "l"}, idempotency="k"), 422, "idempotency_key_reused")


def test_opens_are_never_tracked_by_a_link(call: Call, services: Services, visitor: Visitor) -> None:
    link = make(call, tracking={"opens": False})
    visitor.get(link["url"])
    (event,) = visitor.ingest().events
    assert event.kind is EventKind.CLICKED
    assert not block_of(services, link["id"]).track_opens
