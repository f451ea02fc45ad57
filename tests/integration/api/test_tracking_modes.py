"""Opens and clicks are tracked apart, at most as far as the brand allows; and what the author is warned of."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from app.services import Services
from tests.integration.api.api_bodies import Call, assert_problem, email, sms
from tests.integration.api.visitor import Visitor, block_of, change_brand


def register(call: Call, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    response = call("POST", "/v1/messages", body, **more)
    assert response.status_code == 201, response.get_data(as_text=True)
    found: dict[str, Any] = response.get_json()
    return found


def codes(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(warning["part"], warning["code"]) for warning in answer["warnings"]]


@pytest.mark.parametrize("ceiling", ["{opens: false, clicks: true}", "{opens: true, clicks: false}"])
def test_a_wider_mode_than_the_brands_ceiling_is_refused(call: Call, services: Services, ceiling: str) -> None:
    change_brand(services, f"tracking: {ceiling}")
    forbidden, allowed = ("opens", "clicks") if "opens: false" in ceiling else ("clicks", "opens")
    for body in (email(tracking={forbidden: True}), email(tracking={"opens": True, "clicks": True})):
        problem = assert_problem(call("POST", "/v1/messages", body), 422, "tracking_not_allowed")
        assert problem["errors"][0]["pointer"] == f"/tracking/{forbidden}"
    assert services.database["blocks"].count_documents({}) == 0
    register(call, email(tracking={allowed: True, forbidden: False}))
    register(call, email())


@pytest.mark.parametrize("pixel", ["header", "footer", "both"])
def test_a_pixel_above_the_ceiling_is_refused(call: Call, pixel: str) -> None:
    for body, brand in ((email(pixel=pixel), "cedar"), (email(pixel=pixel, tracking={"opens": False}), "alder")):
        problem = assert_problem(call("POST", "/v1/messages", body, brand=brand), 422, "tracking_not_allowed")
        assert problem["errors"][0]["pointer"] == "/pixel"
    register(call, email(pixel="none"), brand="cedar")


def test_the_code_of_the_refusal_is_on_the_docs_page(call: Call) -> None:
    page = call("GET", "/docs").get_data(as_text=True)
    for code in ("tracking_not_allowed", "invalid_values"):
        assert f'id="{code}"' in page


def test_opens_off_and_clicks_on(call: Call, visitor: Visitor, services: Services) -> None:
    (message,) = register(call, email(tracking={"opens": False, "clicks": True}))["messages"]
    assert "<img" not in message["html"]
    assert "pixel_url" not in message
    block = block_of(services, message["id"])
    # A pixel that somebody makes up by its number is served and not stored.
    pixel = services.urls.pixel("click.alder.example", services.codes.encode(block.start + 1))
    assert visitor.get(pixel).status_code == 200
    assert visitor.location(message["links"][0]["tracked_url"]) == "https://www.alder.example/a?x=1&y=2"
    done = visitor.ingest()
    assert [event.kind.value for event in done.events] == ["clicked"]
    assert done.dropped == {"untracked": 1}


def test_clicks_off_leaves_every_link_untouched_and_opens_on(call: Call, visitor: Visitor) -> None:
    body = email(tracking={"clicks": False}, utm={"source": "x"})
    (message,) = register(call, body)["messages"]
    html = body["content"]["html"]
    pixel = message["html"].removeprefix(html[: html.index("</body>")]).removesuffix("</body></html>")
    assert pixel.startswith(f'<img src="{message["pixel_url"]}"')
    assert message["html"] == html.replace("</body>", pixel + "</body>")
    assert (message["text"], message["links"]) == (body["content"]["text"], [])
    visitor.get(message["pixel_url"])
    assert [event.kind.value for event in visitor.ingest().events] == ["opened"]


def test_everything_off_still_unsubscribes(call: Call, visitor: Visitor) -> None:
    body = email(tracking={"opens": False, "clicks": False}, content={"html": '<a href="{{unsubscribe_url}}">x</a>'})
    (message,) = register(call, body)["messages"]
    assert message["html"] == f'<a href="{message["unsubscribe_url"]}">x</a>'
    assert message["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert visitor.get(message["unsubscribe_url"], "POST").status_code == 200
    assert [event.kind.value for event in visitor.ingest().events] == ["unsubscribed"]


def test_values_that_no_redirect_will_fill_are_warned_of(call: Call) -> None:
    html = '<a href="https://alder.example/{{ id }}">x</a>'
    off = html.replace("<a ", '<a data-track="off" ')
    for body in (
        email(content={"html": html}, values={"id": "1"}, tracking={"clicks": False}, pixel="none"),
        email(content={"html": off}, values={"id": "1"}, pixel="none"),
    ):
        answer = register(call, body)
        assert (answer["messages"][0]["html"], codes(answer)) == (html, [("html", "filled_later")])


def test_an_sms_without_clicks_is_sent_as_it_is(call: Call) -> None:
    body = sms(content={"text": "https://alder.example/job/1"}, tracking={"clicks": False})
    (message,) = register(call, body)["messages"]
    assert (message["text"], message["links"]) == ("https://alder.example/job/1", [])
    assert_problem(call("POST", "/v1/messages", sms(pixel="both")), 422, "invalid_request")


def test_a_mime_message_keeps_to_the_mode_too(call: Call) -> None:
    raw = b"Content-Type: text/html\r\n\r\n<body><a href='https://www.alder.example/'>x</a></body>\r\n"
    body = email(content={"mime": base64.b64encode(raw).decode()}, tracking={"opens": False, "clicks": False})
    (message,) = register(call, body)["messages"]
    assert base64.b64decode(message["mime"]).partition(b"\r\n\r\n")[2] == raw.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("tracking", [{"opens": "no"}, {"clicks": 1}, {"links": True}, True, None])
def test_a_mode_is_yes_or_no(call: Call, tracking: object) -> None:
    assert_problem(call("POST", "/v1/messages", email(tracking=tracking)), 422, "invalid_request")


def test_unreadable_html_stays_as_it_is_and_is_warned_of(call: Call) -> None:
    html = '<p><a href="https://alder.example/">x</a>\n <a href="https://alder.example/never'
    answer = register(call, email(content={"html": html, "text": "https://alder.example/"}))
    (message,) = answer["messages"]
    assert message["html"] == html
    assert [link["url"] for link in message["links"]] == ["https://alder.example/"]
    (warning,) = answer["warnings"]
    assert (warning["part"], warning["code"], warning["line"]) == ("html", "unparsable_html", 2)


LEFT = {
    "javascript:alert(1)": "unsafe_scheme",
    "data:text/html,x": "unsafe_scheme",
    "https://a:b@alder.example/": "user_info",
    "/rel": "relative_url",
    "www.alder.example": "missing_scheme",
    "//alder.example/x": "protocol_relative_url",
    "https://alder.example:99999/": "malformed_url",
    "https://alder.example/" + "x" * 8200: "url_too_long",
    "https://alder.example/{{ id }}": "filled_later",
}


@pytest.mark.parametrize(("url", "code"), LEFT.items(), ids=[*LEFT.values()])
def test_a_link_that_is_left_alone_says_why(call: Call, url: str, code: str) -> None:
    html = f'<p>\n<a href="{url}">x</a></p>'
    answer = register(call, email(content={"html": html}, pixel="none"))
    assert (answer["messages"][0]["html"], answer["messages"][0]["links"]) == (html, [])
    (warning,) = answer["warnings"]
    assert (warning["part"], warning["line"], warning["column"], warning["code"]) == ("html", 2, 4, code)
    assert url not in warning["detail"]


def test_strange_characters_are_kept_and_warned_of(call: Call, visitor: Visitor) -> None:
    url = "https://alder.example/a\u200bb\u202ec"
    answer = register(call, email(content={"html": f'<a href="{url}">x</a>'}))
    assert codes(answer) == [("html", "invisible_characters"), ("html", "bidi_characters")]
    (link,) = answer["messages"][0]["links"]
    assert link["url"] == url
    assert visitor.location(link["tracked_url"]) == "https://alder.example/a%E2%80%8Bb%E2%80%AEc"


def test_warnings_are_bounded_and_quote_nothing(call: Call) -> None:
    html = '<a href="/mark-of-a-link">x</a>' * 200
    response = call("POST", "/v1/messages", email(content={"html": html}, **{"return": "links"}))
    answer = response.get_json()
    assert len(answer["warnings"]) == 50
    assert "mark-of-a-link" not in response.get_data(as_text=True)


def test_content_without_faults_has_no_warnings(call: Call) -> None:
    assert register(call, email())["warnings"] == []
    assert register(call, sms())["warnings"] == []
