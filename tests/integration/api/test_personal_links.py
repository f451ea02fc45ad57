"""Links that differ per recipient: one link in every figure, each recipient's own page at the click."""

from __future__ import annotations

from typing import Any

import pytest

from app.services import Services
from tests.integration.api.api_bodies import Call, assert_problem, email, sms
from tests.integration.api.visitor import Visitor, block_of, change_brand

TEMPLATE = "https://www.alder.example/o/{{ order }}?v={{variant}}&a=1&amp;b=%2F#{{ order }}"
CONTENT = {"html": f'<p><a href="{TEMPLATE}">Yours</a></p>', "text": f"See {TEMPLATE.replace('&amp;', '&')}."}
KEPT = "https://www.alder.example/o/{{order}}?v={{variant}}&a=1&b=%2F#{{order}}"
ANN = {"address": "ann@mail.example", "values": {"order": "A/1 ü"}}
BEN = {"address": "ben@mail.example", "values": {"order": "B&2", "variant": ""}}


def personal(**change: Any) -> dict[str, Any]:
    return email(content=CONTENT, recipients=[ANN, BEN], values={"variant": "x=y"}, **change)


def register(call: Call, body: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    response = call("POST", "/v1/messages", body, **more)
    assert response.status_code == 201, response.get_data(as_text=True)
    found: list[dict[str, Any]] = response.get_json()["messages"]
    return found


def refused(call: Call, body: dict[str, Any], code: str = "invalid_values") -> list[str]:
    """The pointers of what is wrong."""
    problem = assert_problem(call("POST", "/v1/messages", body), 422, code)
    return [error["pointer"] for error in problem["errors"]]


def test_each_recipient_gets_to_their_own_page_by_one_link(call: Call, visitor: Visitor) -> None:
    ann, ben = register(call, personal())
    for message in (ann, ben):
        (link,) = message["links"]
        assert (link["id"], link["url"]) == ("lnk_1", KEPT)
        assert f'<a href="{link["tracked_url"]}">Yours</a>' in message["html"]
        assert message["text"] == f"See {link['tracked_url']}."
    assert [visitor.location(message["links"][0]["tracked_url"]) for message in (ann, ben)] == [
        "https://www.alder.example/o/A%2F1%20%C3%BC?v=x%3Dy&a=1&b=%2F#A%2F1%20%C3%BC",
        "https://www.alder.example/o/B%262?v=&a=1&b=%2F#B%262",
    ]


def test_events_and_webhooks_show_the_link_and_not_the_persons_page(call: Call, visitor: Visitor) -> None:
    endpoint = call("POST", "/v1/endpoints", {"url": "https://hooks.alder.example/in", "mode": "full"}).get_json()
    for message in register(call, personal()):
        visitor.get(message["links"][0]["tracked_url"])
    visitor.ingest()
    told = [body["data"] for body in visitor.webhooks(endpoint["id"])]
    listed = call("GET", "/v1/events").get_json()["events"]
    assert [(one["url"], one["link_id"]) for one in [*told, *listed]] == [(KEPT, "lnk_1")] * 4
    timeline = call("GET", f"/v1/messages/{listed[0]['message_id']}").get_json()
    assert [event["url"] for event in timeline["events"]] == [KEPT]
    assert timeline["state"] == "clicked"


def test_the_values_stand_in_the_message_sealed_and_not_in_the_block(call: Call, services: Services) -> None:
    ann, _ = register(call, personal())
    block = block_of(services, ann["id"])
    assert [(link.destination, link.personal) for link in block.links] == [(KEPT, True)]
    kept = services.messages.get(block.start)
    assert kept is not None
    assert kept.values == {"order": "A/1 ü", "variant": "x=y"}
    assert "x=y" not in repr(list(services.database["messages"].find()))


def test_after_an_erasure_the_link_leads_to_what_is_left(call: Call, visitor: Visitor) -> None:
    ann, ben = register(call, personal())
    assert call("POST", "/v1/recipients/erase", {"address": "ann@mail.example"}).status_code == 200
    assert visitor.location(ann["links"][0]["tracked_url"]) == "https://www.alder.example/o/?a=1&b=%2F"
    assert visitor.location(ben["links"][0]["tracked_url"]) == "https://www.alder.example/o/B%262?v=&a=1&b=%2F#B%262"
    assert visitor.ingest().dropped == {"erased": 1}


def test_a_value_may_be_the_whole_url(call: Call, visitor: Visitor) -> None:
    content = {"html": '<a href="{{ page }}">x</a>', "text": "{{ page }}"}
    url = "https://www.alder.example/?a=%26&b[]=1#ü"
    (message,) = register(call, email(content=content, recipients=[{**ANN, "values": {"page": url}}]))
    (link,) = message["links"]
    assert link["url"] == "{{page}}"
    assert message["text"] == link["tracked_url"]
    assert visitor.location(link["tracked_url"]) == "https://www.alder.example/?a=%26&b[]=1#%C3%BC"
    call("POST", "/v1/recipients/erase", {"message_id": message["id"]})
    assert visitor.location(link["tracked_url"]) is None


def test_an_sms_can_have_personalised_links(call: Call, visitor: Visitor) -> None:
    text = {"text": "Job: https://alder.example/{{ job }}"}
    body = sms(content=text, recipients=[{"address": "+4915112345678", "values": {"job": "7"}}])
    (message,) = register(call, body)
    assert message["text"] == f"Job: {message['links'][0]['tracked_url']}"
    assert visitor.location(message["links"][0]["tracked_url"]) == "https://alder.example/7"


def test_a_missing_value_names_the_recipient(call: Call, services: Services) -> None:
    without = {"address": "cid@mail.example"}
    problem = assert_problem(
        call("POST", "/v1/messages", email(content=CONTENT, recipients=[ANN, without], values={"variant": "x"})),
        422,
        "invalid_values",
    )
    (error,) = problem["errors"]
    assert error == {"pointer": "/recipients/1/values", "detail": "has no value for a personalised link"}
    assert not any(services.database[name].count_documents({}) for name in ("blocks", "messages", "idempotency"))


@pytest.mark.parametrize("order", [".", "..", "%2e", "", "%2E%2e"])
def test_a_value_must_not_change_the_path(call: Call, order: str) -> None:
    """An empty one leaves an empty segment, and `%2e` is escaped: both lead where the author said."""
    body = email(content=CONTENT, values={"order": order, "variant": "x"})
    if set(order) == {"."}:
        assert refused(call, body) == ["/recipients/0/values"]
    else:
        register(call, body)


def test_dots_around_a_place_count(call: Call) -> None:
    body = email(content={"html": '<a href="https://alder.example/a/.{{ x }}/b">x</a>'}, values={"x": "."})
    assert refused(call, body) == ["/recipients/0/values"]
    register(call, {**body, "values": {"x": "y"}})


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "https://alder.example@evil.example/",
        "https://a:b@alder.example/",
        "//alder.example/",
        "/rel",
        "",
        "javascript:alert(1)",
        "https://127.0.0.1/",
        "https://click.alder.example/c/abc",
        "https://alder.example/{{ order }}",
        "https://alder.example/" + "x" * 1000 + "{{unsubscribe_url}}",
    ],
)
def test_a_whole_url_is_judged_like_any_other(call: Call, url: str) -> None:
    body = email(content={"html": '<a href="{{ page }}">x</a>'}, values={"page": url})
    assert refused(call, body) == ["/recipients/0/values"]


def test_control_characters_in_values_are_refused(call: Call) -> None:
    for value in ("a\r\nb", "a\u2028b", "a\u202eb", "\t"):
        assert refused(call, email(values={"page": value}), "invalid_request")


def test_a_filled_url_has_the_length_of_any_other(call: Call) -> None:
    url = "https://alder.example/" + "y" * 7000 + "/{{ x }}"
    body = email(content={"html": f'<a href="{url}">x</a>'}, values={"x": "z" * 1100})
    register(call, body)
    assert refused(call, {**body, "values": {"x": "z" * 1200}}) == ["/recipients/0/values"]
    assert refused(call, {**body, "values": {"x": "ü" * 200}}) == ["/recipients/0/values"]


def test_values_have_bounds(call: Call) -> None:
    many = {f"v{n}": "x" for n in range(51)}
    assert refused(call, email(values=many), "invalid_request") == ["/values"]
    large = {f"v{n}": "x" * 500 for n in range(9)}
    assert refused(call, email(values=large), "invalid_request") == ["/recipients/0/values"]
    assert refused(call, email(values={"a b": "x"}), "invalid_request")


def test_without_values_a_placeholder_is_left_and_warned_of(call: Call) -> None:
    body = email(content={"html": '<p><a href="https://alder.example/{{ order }}">x</a></p>'}, pixel="none")
    answer = call("POST", "/v1/messages", body).get_json()
    assert answer["messages"][0]["html"] == body["content"]["html"]
    assert answer["messages"][0]["links"] == []
    (warning,) = answer["warnings"]
    assert (warning["part"], warning["line"], warning["column"], warning["code"]) == ("html", 1, 7, "filled_later")
    # Values of other names change nothing about it.
    assert call("POST", "/v1/messages", {**body, "values": {"other": "1"}}).get_json()["warnings"] == [warning]


def test_names_with_a_meaning_of_their_own_are_not_filled(call: Call) -> None:
    body = email(content={"text": "{{unsubscribe_url}} https://alder.example/{{ web_view }}"})
    body["values"] = {"unsubscribe_url": "https://alder.example/", "web_view": "1"}
    (message,) = register(call, body)
    assert message["links"] == []
    assert message["text"] == f"{message['unsubscribe_url']} https://alder.example/{{{{ web_view }}}}"


def test_a_forbidden_host_with_a_placeholder_is_refused(call: Call) -> None:
    body = email(content={"html": '<a href="https://evil.example/{{ x }}">x</a>'}, values={"x": "1"})
    assert refused(call, body, "invalid_destination") == ["/content/html"]


def test_campaign_parameters_are_added_to_the_template(call: Call, visitor: Visitor, services: Services) -> None:
    change_brand(services, "links: {utm: {source: 'a&b', campaign: '{campaign_id}'}}")
    (message,) = register(call, email(content=CONTENT, recipients=[BEN]))
    assert visitor.location(message["links"][0]["tracked_url"]) == (
        "https://www.alder.example/o/B%262?v=&a=1&b=%2F&utm_source=a%26b&utm_campaign=spring#B%262"
    )


def test_the_same_call_again_gives_the_same_answer(call: Call, services: Services) -> None:
    first = call("POST", "/v1/messages", personal(), idempotency="k")
    again = call("POST", "/v1/messages", personal(), idempotency="k")
    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"
    assert services.database["blocks"].count_documents({}) == 1
    other = personal()
    other["values"] = {"variant": "z"}
    assert_problem(call("POST", "/v1/messages", other, idempotency="k"), 422, "idempotency_key_reused")


def test_a_thousand_recipients_with_values_are_one_block(call: Call, services: Services, visitor: Visitor) -> None:
    recipients = [{"address": f"u{n}@mail.example", "values": {"order": str(n)}} for n in range(1000)]
    messages = register(call, email(content=CONTENT, recipients=recipients, values={"variant": "x"}))
    assert services.database["blocks"].count_documents({}) == 1
    assert visitor.location(messages[777]["links"][0]["tracked_url"]) == (
        "https://www.alder.example/o/777?v=x&a=1&b=%2F#777"
    )
    recipients[500] = {"address": "bad@mail.example"}
    body = email(content=CONTENT, recipients=recipients, values={"variant": "x"})
    assert refused(call, body) == ["/recipients/500/values"]


OWN = [
    "https://www.alder.example/?a=1&email=ann%40x.example&b=%2f#top",
    "https://www.alder.example/?email=ANN@x.example",
    "https://www.alder.example/for/ann%40x.example/now?a[]=1",
    "https://www.alder.example/?e=ann%2540x.example&x=%zz",
    "https://www.alder.example/?e=%41nn%40X.EXAMPLE",
    "https://www.alder.example/a#for=ann@x.example",
]


def test_the_persons_own_address_in_a_link_arrives_and_is_not_in_the_block(
    call: Call, visitor: Visitor, services: Services
) -> None:
    html = "".join(f'<a href="{url.replace("&", "&amp;")}">Not ann@x.example?</a>' for url in OWN)
    body = email(content={"html": html, "text": OWN[0]}, recipients=[{"address": "Ann@x.example"}])
    (message,) = register(call, body)
    links = message["links"]
    assert [visitor.location(link["tracked_url"]) for link in links] == OWN
    assert message["text"] == links[0]["tracked_url"]
    block = block_of(services, message["id"])
    assert "ann" not in repr(block.links).lower()
    assert [link.label for link in block.links] == [""] * len(OWN)
    left = [
        "https://www.alder.example/?a=1&b=%2f#top",
        "https://www.alder.example/",
        "https://www.alder.example/for/?a[]=1",
        "https://www.alder.example/?x=%zz",
        "https://www.alder.example/",
        "https://www.alder.example/a",
    ]
    assert [link["url"] for link in links] == OWN, "the caller is told what it has sent"
    visitor.ingest()
    assert sorted(event["url"] for event in call("GET", "/v1/events").get_json()["events"]) == sorted(left)
    call("POST", "/v1/recipients/erase", {"address": "ann@x.example"})
    assert [visitor.location(link["tracked_url"]) for link in links] == left
    assert visitor.ingest().dropped == {"erased": len(OWN)}


def test_a_phone_number_in_a_link_too(call: Call, visitor: Visitor, services: Services) -> None:
    url = "https://alder.example/?tel=%2B49+151+12345678&a=1"
    (message,) = register(call, sms(content={"text": url}))
    assert visitor.location(message["links"][0]["tracked_url"]) == url
    assert message["links"][0]["url"] == url
    assert block_of(services, message["id"]).links[0].shown == "https://alder.example/?a=1"
    assert "12345678" not in repr(block_of(services, message["id"]))


def test_addresses_in_the_links_of_a_batch_are_everybodys(call: Call, services: Services) -> None:
    url = "https://www.alder.example/?contact=ann@x.example"
    recipients = [{"address": "ann@x.example"}, {"address": "ben@x.example"}]
    messages = register(call, email(content={"html": f'<a href="{url}">x</a>'}, recipients=recipients))
    assert [message["links"][0]["url"] for message in messages] == [url, url]
    assert block_of(services, messages[0]["id"]).links[0].destination == url
