"""`POST /v1/messages`: what a brand gets back, and what is stored for it."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from app.lib import clock
from app.messages import register
from app.models.block import Slot
from app.services import Services
from tests.integration.api.api_bodies import Call, assert_problem, email, sms

CODE = "[A-Za-z2-9]{2,10}"


def number_of(services: Services, url: str) -> int:
    code = re.sub(r"\.gif$", "", url.rsplit("/", 1)[1])
    number = services.codes.decode(code)
    assert number is not None
    return number


def stored(services: Services) -> dict[str, int]:
    names = ("blocks", "messages", "idempotency", "events", "deliveries")
    return {name: services.database[name].count_documents({}) for name in names}


def test_an_email_comes_back_with_tracked_content(call: Call, services: Services) -> None:
    response = call("POST", "/v1/messages", email())
    assert response.status_code == 201
    (message,) = response.get_json()["messages"]
    assert re.fullmatch(rf"msg_{CODE}", message["id"])
    assert response.headers["Location"] == f"/v1/messages/{message['id']}"
    assert message["recipient_id"] == "c-1"
    first, second = message["links"]
    assert (first["id"], first["url"]) == ("lnk_1", "https://www.alder.example/a?x=1&y=2")
    assert (second["id"], second["url"]) == ("lnk_2", "https://www.alder.example/b")
    for link in (first, second):
        assert re.fullmatch(rf"http://click\.alder\.example/c/{CODE}", link["tracked_url"])
    assert f'<a href="{first["tracked_url"]}">A</a>' in message["html"]
    assert message["html"].count("<img") == 1
    assert f'src="{message["pixel_url"]}"' in message["html"]
    assert re.fullmatch(rf"http://click\.alder\.example/o/{CODE}\.gif", message["pixel_url"])
    assert message["text"] == f"See {second['tracked_url']} now."
    assert message["headers"] == {
        "List-Unsubscribe": f"<mailto:leave@alder.example>, <{message['unsubscribe_url']}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    assert re.fullmatch(rf"http://click\.alder\.example/u/{CODE}", message["unsubscribe_url"])


def test_codes_lead_back_to_the_block_and_the_message(call: Call, services: Services) -> None:
    (message,) = call("POST", "/v1/messages", email(pixel="both")).get_json()["messages"]
    number = services.codes.message_number(message["id"])
    assert number is not None
    assert number_of(services, message["pixel_url"]) == number + Slot.PIXEL_FOOTER
    assert number_of(services, message["unsubscribe_url"]) == number + Slot.UNSUBSCRIBE
    assert [number_of(services, link["tracked_url"]) for link in message["links"]] == [number + 4, number + 5]
    pixels = re.findall(r'src="([^"]+)"', message["html"])
    assert [number_of(services, pixel) for pixel in pixels] == [number, number + 1]
    block = services.blocks.find(number + 5)
    assert block is not None
    assert (block.start, block.count, block.stride, block.brand_id) == (number, 1, 6, "alder")
    assert (block.campaign_id, block.list_id, block.job_source) == ("spring", "news", "board")
    kept = services.messages.get(number)
    assert kept is not None
    assert (kept.recipient.address, kept.recipient.id, kept.recipient.name) == ("Ada@mail.example", "c-1", "Ada")
    assert kept.metadata == {"shop": "north", "order": "A-1"}
    assert kept.address_hash == services.keyring.address_hash("alder", kept.channel, "Ada@mail.example")


def test_an_sms_has_short_links_and_neither_pixel_nor_headers(call: Call) -> None:
    (message,) = call("POST", "/v1/messages", sms()).get_json()["messages"]
    (link,) = message["links"]
    assert message["text"] == f"New job: {link['tracked_url']} Stop: {message['unsubscribe_url']}"
    assert re.fullmatch(rf"http://go\.alder\.example/c/{CODE}", link["tracked_url"])
    assert not {"html", "pixel_url", "headers"} & message.keys()


def test_a_batch_shares_one_block_and_no_two_codes_are_equal(call: Call, services: Services) -> None:
    recipients = [{"address": f"user{n}@mail.example", "id": f"c-{n}"} for n in range(1000)]
    started = time.perf_counter()
    response = call("POST", "/v1/messages", email(recipients=recipients))
    seconds = time.perf_counter() - started
    messages = response.get_json()["messages"]
    assert [message["recipient_id"] for message in messages] == [f"c-{n}" for n in range(1000)]
    urls = [
        url
        for message in messages
        for url in (
            message["pixel_url"],
            message["unsubscribe_url"],
            *(link["tracked_url"] for link in message["links"]),
        )
    ]
    assert len(set(urls)) == len(urls) == 4000
    assert len({message["id"] for message in messages}) == 1000
    assert stored(services) | {"idempotency": 0} == {
        "blocks": 1,
        "messages": 1000,
        "idempotency": 0,
        "events": 0,
        "deliveries": 0,
    }
    for message in messages[::199]:
        assert message["links"][0]["tracked_url"] in message["html"]
    assert seconds < 5


def test_links_mode_leaves_the_content_out(call: Call) -> None:
    (message,) = call("POST", "/v1/messages", email(**{"return": "links"})).get_json()["messages"]
    assert not {"html", "text"} & message.keys()
    assert len(message["links"]) == 2
    assert message["pixel_url"]


@pytest.mark.parametrize(("pixel", "count"), [("none", 0), ("header", 1), ("footer", 1), ("both", 2), (None, 1)])
def test_the_request_chooses_the_pixel(call: Call, pixel: str | None, count: int) -> None:
    (message,) = call("POST", "/v1/messages", email(pixel=pixel)).get_json()["messages"]
    assert message["html"].count("<img") == count
    assert ("pixel_url" in message) == (count > 0)


def test_a_brand_that_tracks_nothing_gets_its_content_back_unchanged(call: Call) -> None:
    body = email()
    (message,) = call("POST", "/v1/messages", body, brand="cedar").get_json()["messages"]
    assert message["html"] == body["content"]["html"]
    assert message["text"] == body["content"]["text"]
    assert message["links"] == []
    assert "pixel_url" not in message
    assert message["unsubscribe_url"].startswith("http://t.cedar.example/u/")


@pytest.mark.parametrize(
    "wider", [{"pixel": "both"}, {"tracking": {"opens": True}}, {"tracking": {"clicks": True, "opens": False}}]
)
def test_more_tracking_than_the_brand_allows_is_refused_and_not_narrowed(call: Call, wider: dict[str, Any]) -> None:
    answer = call("POST", "/v1/messages", email(**wider), brand="cedar")
    assert (answer.status_code, answer.get_json()["code"]) == (422, "tracking_not_allowed")


def test_opens_off_and_clicks_on_means_no_pixel_and_rewritten_links(call: Call, services: Services) -> None:
    answer = call("POST", "/v1/messages", email(tracking={"opens": False})).get_json()
    (message,) = answer["messages"]
    assert "pixel_url" not in message
    assert "/o/" not in message["html"]
    assert message["links"]
    block = services.block_cache.find(services.codes.message_number(message["id"]) or 0)
    assert block is not None
    assert (block.track_opens, block.track_clicks) == (False, True)


def test_links_that_are_not_web_links_stay_as_they_are(call: Call) -> None:
    html = '<a href="mailto:a@alder.example">m</a><a href="tel:+123">t</a><a href="#x">x</a><a href="{{shop}}">p</a>'
    (message,) = call("POST", "/v1/messages", email(content={"html": html}, pixel="none")).get_json()["messages"]
    assert message["html"] == html
    assert message["links"] == []


LEFT_ALONE = (
    "https://user:pw@alder.example/",
    "https://alder.example\\@evil.example/",
    "https://click.alder.example/c/abc",
    "https:///alder.example/",
    "http://",
    "https://alder.example:99999/",
    "https://alder.example/" + "x" * 8192,
    "https://alder.example/%\x01x",
    "javascript:alert(1)",
    "java\tscript:alert(1)",
    " &#106;avascript:alert(1)",
    "JaVaScRiPt&colon;alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "ftp://alder.example/x",
)


@pytest.mark.parametrize("url", LEFT_ALONE)
def test_a_link_that_cannot_be_tracked_safely_is_left_as_it_is(call: Call, url: str) -> None:
    html = f'<p><a href="{url}">x</a></p>'
    response = call("POST", "/v1/messages", email(content={"html": html}, pixel="none"))
    assert response.status_code == 201
    (message,) = response.get_json()["messages"]
    assert (message["html"], message["links"]) == (html, [])


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "https://alder.example.evil.example/",
        "https://evilalder.example/",
        "https://alder.example@evil.example/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://2130706433/",
    ],
)
def test_a_destination_that_is_not_allowed_is_refused_and_nothing_is_stored(
    call: Call, services: Services, url: str
) -> None:
    response = call("POST", "/v1/messages", email(content={"html": f'<p><a href="{url}">x</a></p>'}), idempotency="k")
    problem = assert_problem(response, 422, "invalid_destination")
    assert problem["errors"][0]["pointer"] == "/content/html"
    assert url not in response.get_data(as_text=True)
    assert not any(stored(services).values())


def test_a_forbidden_destination_in_text_is_refused_too(call: Call, services: Services) -> None:
    response = call("POST", "/v1/messages", email(content={"text": "Go to https://evil.example/x"}))
    assert assert_problem(response, 422, "invalid_destination")["errors"][0]["pointer"] == "/content/text"
    assert not any(stored(services).values())


def test_without_an_allow_list_every_public_domain_is_allowed(call: Call) -> None:
    content = {"html": '<a href="https://anything.example/">x</a>'}
    assert call("POST", "/v1/messages", email(content=content), brand="birch").status_code == 201
    local = {"html": '<a href="https://printer.local/">x</a>'}
    (message,) = call("POST", "/v1/messages", email(content=local, pixel="none"), brand="birch").get_json()["messages"]
    assert (message["html"], message["links"]) == (local["html"], [])


@pytest.mark.parametrize(
    "html", ['<p><a href="https://alder.example/', "<p>x<!-- never ends", '<a href="x', "<title>never ends"]
)
def test_html_that_cannot_be_read_is_sent_as_it_is_and_still_unsubscribes(call: Call, html: str) -> None:
    content = {"html": "{{unsubscribe_url}} " + html, "text": "https://alder.example/x"}
    response = call("POST", "/v1/messages", email(content=content, pixel="both"))
    assert response.status_code == 201
    (message,) = response.get_json()["messages"]
    assert message["html"] == f"{message['unsubscribe_url']} {html}"
    assert [link["url"] for link in message["links"]] == ["https://alder.example/x"]
    assert "pixel_url" not in message


def test_a_channel_that_the_brand_does_not_use_is_refused(call: Call, services: Services) -> None:
    assert_problem(call("POST", "/v1/messages", sms(), brand="birch"), 422, "channel_not_enabled")
    assert not any(stored(services).values())


def test_one_bad_recipient_stops_the_whole_batch(call: Call, services: Services) -> None:
    recipients = [{"address": "ada@mail.example"}, {"address": "mark-of-a-bad-address"}]
    response = call("POST", "/v1/messages", email(recipients=recipients), idempotency="k")
    problem = assert_problem(response, 422, "invalid_request")
    assert problem["errors"][0]["pointer"] == "/recipients/1/address"
    assert "mark-of-a-bad-address" not in response.get_data(as_text=True)
    assert not any(stored(services).values())


def test_too_much_to_give_back_is_refused_with_a_hint(call: Call, services: Services) -> None:
    recipients = [{"address": f"user{n}@mail.example"} for n in range(1000)]
    content = {"html": "<p>" + "x" * 40_000 + "</p>"}
    problem = assert_problem(
        call("POST", "/v1/messages", email(content=content, recipients=recipients)), 413, "response_too_large"
    )
    assert '"return": "links"' in problem["detail"]
    assert not any(stored(services).values())
    smaller = email(content=content, recipients=recipients, **{"return": "links"})
    assert call("POST", "/v1/messages", smaller).status_code == 201


def test_too_many_links_for_too_many_recipients_are_refused(call: Call, services: Services) -> None:
    html = "".join(f'<a href="https://alder.example/{n}">{n}</a>' for n in range(200))
    recipients = [{"address": f"user{n}@mail.example"} for n in range(1000)]
    body = email(content={"html": html}, recipients=recipients, **{"return": "links"})
    assert_problem(call("POST", "/v1/messages", body), 413, "batch_too_large")
    many = "".join(f'<a href="https://alder.example/{n}">{n}</a>' for n in range(501))
    assert_problem(call("POST", "/v1/messages", email(content={"html": many})), 422, "too_many_links")
    assert not any(stored(services).values())


def test_addresses_names_and_destinations_are_only_stored_sealed(call: Call, services: Services) -> None:
    marks = ("mark-address", "mark-name", "mark-id", "mark-metadata", "mark-link", "mark-key")
    body = email(
        content={"html": '<a href="https://alder.example/?who=mark-link">x</a>'},
        recipients=[
            {
                "address": "mark-address@mail.example",
                "name": "mark-name",
                "id": "mark-id",
                "metadata": {"order": "mark-metadata"},
            }
        ],
    )
    assert call("POST", "/v1/messages", body, idempotency="mark-key").status_code == 201
    dump = "".join(
        repr(document)
        for name in services.database.list_collection_names()
        for document in services.database[name].find()
    )
    assert "spring" in dump
    for mark in marks:
        assert mark not in dump


def test_messages_and_block_have_one_time_and_it_is_utc(call: Call, services: Services) -> None:
    before = clock.now_ms()
    (message,) = call("POST", "/v1/messages", email(), idempotency="k").get_json()["messages"]
    number = services.codes.message_number(message["id"])
    assert number is not None
    kept, block = services.messages.get(number), services.blocks.find(number)
    assert kept is not None
    assert block is not None
    assert kept.created_at == block.created_at
    assert before <= kept.created_at.timestamp() * 1000 <= clock.now_ms()


def test_the_block_is_stored_before_the_messages_and_both_before_any_code_is_made(
    call: Call, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, int]] = []
    plain = register.render

    def watched(*args: Any, **kwargs: Any) -> Any:
        seen.append(stored(services))
        return plain(*args, **kwargs)

    monkeypatch.setattr(register, "render", watched)
    call("POST", "/v1/messages", email(), idempotency="k")
    assert [(counts["idempotency"], counts["blocks"], counts["messages"]) for counts in seen] == [(1, 1, 1)]
