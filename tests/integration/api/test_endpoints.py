"""`/v1/endpoints` and `/v1/deliveries`."""

from __future__ import annotations

import base64

import pytest

from app.services import Services
from app.storage.endpoints import MAX_PER_BRAND
from tests.integration.api.api_bodies import Call, assert_problem, email

URL = "https://hooks.alder.example/in?token=mark-of-a-token"


def test_an_endpoint_is_made_listed_and_deleted(call: Call, services: Services) -> None:
    made = call("POST", "/v1/endpoints", {"url": URL, "events": ["message.clicked"], "mode": "full"})
    assert made.status_code == 201
    endpoint = made.get_json()
    assert len(base64.b64decode(endpoint["secret"].removeprefix("whsec_"), validate=True)) == 32
    shown = {name: value for name, value in endpoint.items() if name != "secret"}
    assert call("GET", "/v1/endpoints").get_json() == {"endpoints": [shown]}
    assert (shown["url"], shown["events"], shown["mode"], shown["source"]) == (URL, ["message.clicked"], "full", "api")
    assert "mark-of-a-token" not in repr(list(services.database["endpoints"].find()))
    path = f"/v1/endpoints/{endpoint['id']}"
    assert call("DELETE", path, idempotency="k").status_code == 204
    assert call("DELETE", path, idempotency="k").headers["Idempotent-Replayed"] == "true"
    assert_problem(call("DELETE", path), 404, "not_found")
    assert call("GET", "/v1/endpoints").get_json() == {"endpoints": []}


def test_a_repeat_gives_the_same_endpoint_and_secret(call: Call, services: Services) -> None:
    first = call("POST", "/v1/endpoints", {"url": URL}, idempotency="k")
    again = call("POST", "/v1/endpoints", {"url": URL}, idempotency="k")
    assert again.data == first.data
    assert services.database["endpoints"].count_documents({}) == 1
    other = call("POST", "/v1/endpoints", {"url": URL + "2"}, idempotency="k")
    assert_problem(other, 422, "idempotency_key_reused")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.alder.example/",
        "https://localhost/",
        "https://click.ALDER.example/o/x",
        "https://t.birch.example./",
        "https://10.0.0.1/",
        "https://user:pw@hooks.alder.example/",
        "https://hooks.alder.example:22/",
        "https://hooks.alder.example/#x",
        "hooks.alder.example",
    ],
)
def test_a_url_that_webhooks_may_not_use_is_refused(call: Call, services: Services, url: str) -> None:
    response = call("POST", "/v1/endpoints", {"url": url}, idempotency="k")
    assert assert_problem(response, 422, "invalid_endpoint_url")["errors"][0]["pointer"] == "/url"
    assert url not in response.get_data(as_text=True)
    assert services.database["endpoints"].count_documents({}) == 0


def test_another_brands_endpoint_cannot_be_seen_or_deleted(call: Call) -> None:
    endpoint = call("POST", "/v1/endpoints", {"url": URL}).get_json()
    assert call("GET", "/v1/endpoints", brand="birch").get_json() == {"endpoints": []}
    assert_problem(call("DELETE", f"/v1/endpoints/{endpoint['id']}", brand="birch"), 404, "not_found")
    assert len(call("GET", "/v1/endpoints").get_json()["endpoints"]) == 1


def test_a_brand_has_a_bounded_number_of_endpoints(call: Call) -> None:
    for _ in range(MAX_PER_BRAND):
        assert call("POST", "/v1/endpoints", {"url": URL}).status_code == 201
    assert_problem(call("POST", "/v1/endpoints", {"url": URL}), 409, "too_many_endpoints")


def test_a_sent_message_is_in_the_delivery_log_of_its_brand_only(call: Call) -> None:
    endpoint = call("POST", "/v1/endpoints", {"url": URL, "events": ["message.sent"]}).get_json()
    sent = []
    for _ in range(3):
        (message,) = call("POST", "/v1/messages", email()).get_json()["messages"]
        sent.append(call("POST", f"/v1/messages/{message['id']}/events", {"type": "sent"}).get_json()["id"])
    listed = call("GET", "/v1/deliveries").get_json()
    assert {delivery["event_id"] for delivery in listed["deliveries"]} == set(sent)
    assert listed["next_cursor"] is None
    first = listed["deliveries"][0]
    assert (first["endpoint_id"], first["event_type"]) == (endpoint["id"], "message.sent")
    assert (first["state"], first["attempts"], first["log"]) == ("pending", 0, [])
    assert call("GET", "/v1/deliveries", brand="birch").get_json()["deliveries"] == []
    pages = []
    path = "/v1/deliveries?limit=2&state=pending"
    while path:
        page = call("GET", path).get_json()
        pages += [delivery["id"] for delivery in page["deliveries"]]
        cursor = page["next_cursor"]
        path = f"/v1/deliveries?limit=2&state=pending&cursor={cursor}" if cursor else ""
    assert pages == [delivery["id"] for delivery in listed["deliveries"]]
    assert call("GET", "/v1/deliveries?state=dead").get_json()["deliveries"] == []
    assert_problem(call("GET", "/v1/deliveries?cursor=abc"), 400, "invalid_cursor")
