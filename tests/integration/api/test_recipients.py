"""`/v1/recipients`: erasing a person, and everything held about one. What erasure leaves where: tests/end_to_end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.lib import clock
from app.models.api_key import Scope
from app.services import Services
from tests.integration.api.api_bodies import Call, assert_problem, email, sms
from tests.integration.api.visitor import Visitor, change_brand

ANN = "ann@mail.example"
ERASE, EXPORT = "/v1/recipients/erase", "/v1/recipients/export"


def register(call: Call, address: str = ANN, **change: Any) -> dict[str, Any]:
    brand = change.pop("brand", "alder")
    body = sms if address.startswith("+") and "@" not in address else email
    person = {"address": address, "id": "c-1", "name": "Ann", "metadata": {"order": "A-1"}}
    response = call("POST", "/v1/messages", body(recipients=[person], **change), brand=brand)
    assert response.status_code == 201, response.get_data(as_text=True)
    found: dict[str, Any] = response.get_json()["messages"][0]
    return found


def done(call: Call, path: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    response = call("POST", path, body, **more)
    assert response.status_code == 200, response.get_data(as_text=True)
    found: dict[str, Any] = response.get_json()
    return found


def export(call: Call, address: str = ANN, **more: Any) -> dict[str, Any]:
    return done(call, EXPORT, {"address": address, **more})


def hits(message: dict[str, Any]) -> list[dict[str, Any]]:
    """A message's events without what is only concluded of them."""
    return [event for event in message["events"] if not event.get("implied")]


def test_an_export_has_everything_held_about_a_person(call: Call, visitor: Visitor) -> None:
    content = {"html": '<a href="https://www.alder.example/{{ o }}">x</a>'}
    message = register(call, content=content, values={"o": "7"})
    visitor.get(message["links"][0]["tracked_url"])
    visitor.get(message["unsubscribe_url"], "POST")
    visitor.ingest()
    held = export(call)
    assert held["address_hash"].startswith("sha256:")
    assert held["next_cursor"] is None
    assert [(row["list_id"], row["reason"]) for row in held["suppressions"]] == [("news", "unsubscribed")]
    (one,) = held["messages"]
    assert (one["id"], one["channel"]) == (message["id"], "email")
    assert (one["address"], one["recipient_id"], one["name"]) == (ANN, "c-1", "Ann")
    assert (one["campaign_id"], one["list_id"], one["job_source"]) == ("spring", "news", "board")
    assert (one["metadata"], one["values"]) == ({"shop": "north", "order": "A-1"}, {"o": "7"})
    assert [event["type"] for event in hits(one)] == ["message.clicked", "message.unsubscribed"]
    assert [event["type"] for event in one["events"] if event not in hits(one)] == ["message.opened"]
    assert hits(one)[0]["url"] == "https://www.alder.example/{{o}}"


def test_an_export_opens_what_was_sealed_for_the_person(call: Call, visitor: Visitor, services: Services) -> None:
    change_brand(services, "client_address: full")
    message = register(call)
    for link in message["links"]:
        visitor.get(link["tracked_url"], environ_overrides={"REMOTE_ADDR": "192.0.2.77"})
    visitor.ingest()
    (one,) = export(call)["messages"]
    assert [event["personal"] for event in hits(one)] == [{"client": "192.0.2.77"}] * 2


def test_an_unknown_address_is_held_nowhere(call: Call) -> None:
    held = export(call, "nobody@mail.example")
    assert (held["messages"], held["suppressions"], held["next_cursor"]) == ([], [], None)
    assert done(call, ERASE, {"address": "nobody@mail.example"}) == {
        "messages": 0,
        "complete": True,
        "suppressed": True,
    }


@pytest.mark.parametrize(
    ("registered", "asked"),
    [
        ("Ann@Mail.example", "ann@mail.example"),
        ("ann@mail.example", "ANN@MAIL.EXAMPLE"),
        ("ann@bücher.example", "Ann@XN--BCHER-KVA.example"),
        ("jürgen@mail.example", "Ju\u0308rgen@mail.example"),
        ("+tag@mail.example", "+TAG@mail.example"),
        ("+4915112345678", "+4915112345678"),
    ],
)
def test_every_spelling_of_an_address_is_the_same_person(call: Call, registered: str, asked: str) -> None:
    message = register(call, registered)
    assert [one["id"] for one in export(call, asked)["messages"]] == [message["id"]]
    assert done(call, ERASE, {"address": asked})["messages"] == 1
    assert export(call, registered)["messages"] == []


def test_email_and_phone_are_persons_of_their_own(call: Call) -> None:
    by_mail, by_phone = register(call), register(call, "+4915112345678")
    assert done(call, ERASE, {"address": ANN})["messages"] == 1
    assert call("GET", f"/v1/messages/{by_mail['id']}").get_json()["erased"]
    assert not call("GET", f"/v1/messages/{by_phone['id']}").get_json()["erased"]
    assert done(call, ERASE, {"message_id": by_phone["id"]})["messages"] == 1
    assert call("GET", f"/v1/messages/{by_phone['id']}").get_json()["erased"]


def test_one_message_of_a_person_finds_all_of_them(call: Call) -> None:
    messages = [register(call) for _ in range(3)]
    other = register(call, "ben@mail.example")
    held = done(call, EXPORT, {"message_id": messages[1]["id"]})
    assert [one["id"] for one in held["messages"]] == [message["id"] for message in reversed(messages)]
    assert done(call, ERASE, {"message_id": messages[1]["id"]})["messages"] == 3
    assert not call("GET", f"/v1/messages/{other['id']}").get_json()["erased"]


def test_an_erased_message_says_so_and_nothing_else(call: Call, visitor: Visitor) -> None:
    message = register(call)
    visitor.get(message["links"][0]["tracked_url"])
    visitor.ingest()
    done(call, ERASE, {"address": ANN})
    response = call("GET", f"/v1/messages/{message['id']}")
    shown = response.get_json()
    assert (shown["erased"], shown["metadata"]) == (True, {})
    assert not {"recipient", "campaign_id", "job_source"} & shown.keys()
    assert [event["type"] for event in shown["events"]] == ["message.clicked"]
    assert "ann" not in response.get_data(as_text=True).lower().replace("channel", "")
    assert_problem(call("POST", ERASE, {"message_id": message["id"]}), 404, "not_found")
    assert_problem(call("POST", EXPORT, {"message_id": message["id"]}), 404, "not_found")


def test_erasing_twice_is_harmless(call: Call) -> None:
    register(call)
    assert done(call, ERASE, {"address": ANN}) == {"messages": 1, "complete": True, "suppressed": True}
    assert done(call, ERASE, {"address": ANN}) == {"messages": 0, "complete": True, "suppressed": True}


def test_whoever_comes_back_is_a_new_person_to_us(call: Call, visitor: Visitor) -> None:
    old = register(call)
    done(call, ERASE, {"address": ANN, "suppress": False})
    new = register(call)
    assert [one["id"] for one in export(call)["messages"]] == [new["id"]]
    assert call("GET", f"/v1/messages/{new['id']}").get_json()["recipient"]["address"] == ANN
    assert call("GET", f"/v1/messages/{old['id']}").get_json()["erased"]
    for message in (old, new):
        visitor.get(message["links"][0]["tracked_url"])
    assert visitor.ingest().dropped == {"erased": 1}
    assert len(hits(export(call)["messages"][0])) == 1


def test_erasing_suppresses_unless_it_is_told_not_to(call: Call) -> None:
    register(call)
    assert done(call, ERASE, {"address": ANN, "suppress": False})["suppressed"] is False
    assert export(call)["suppressions"] == []
    done(call, ERASE, {"address": ANN})
    assert [(row["list_id"], row["reason"]) for row in export(call)["suppressions"]] == [("*", "erased")]


def test_suppressions_that_are_there_stay(call: Call, visitor: Visitor) -> None:
    visitor.get(register(call)["unsubscribe_url"], "POST")
    done(call, ERASE, {"address": ANN, "suppress": False})
    assert [row["reason"] for row in export(call)["suppressions"]] == ["unsubscribed"]


def test_another_brands_person_is_not_ours(call: Call) -> None:
    theirs = register(call, brand="cedar")
    for path in (ERASE, EXPORT):
        assert_problem(call("POST", path, {"message_id": theirs["id"]}), 404, "not_found")
    assert done(call, ERASE, {"address": ANN})["messages"] == 0
    assert export(call)["messages"] == []
    assert not call("GET", f"/v1/messages/{theirs['id']}", brand="cedar").get_json()["erased"]


@pytest.mark.parametrize("message_id", ["msg_unknown", "x", "msg_t0123456789abcdef", "evt_1"])
def test_an_unknown_message_is_nobodys(call: Call, message_id: str) -> None:
    for path in (ERASE, EXPORT):
        assert_problem(call("POST", path, {"message_id": message_id}), 404, "not_found")


def test_a_link_for_nobody_is_nobodys(call: Call) -> None:
    link = call("POST", "/v1/links", {"destination": "https://www.alder.example/"}).get_json()
    assert_problem(call("POST", ERASE, {"message_id": link["id"]}), 404, "not_found")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"address": ANN, "message_id": "msg_x"},
        {"address": "nonsense"},
        {"address": "+12"},
        {"address": "ann@"},
        {"address": ""},
        {"email": ANN},
    ],
)
def test_a_person_is_named_in_exactly_one_way(call: Call, body: dict[str, Any]) -> None:
    for path in (ERASE, EXPORT):
        response = call("POST", path, body)
        assert_problem(response, 422, "invalid_request")
        assert "nonsense" not in response.get_data(as_text=True)


def test_pages_go_on_where_the_page_before_ended(call: Call) -> None:
    ids = [register(call)["id"] for _ in range(5)]
    seen: list[str] = []
    cursor, pages = None, 0
    while pages < 10:
        page = export(call, limit=2, **({} if cursor is None else {"cursor": cursor}))
        seen += [one["id"] for one in page["messages"]]
        cursor, pages = page["next_cursor"], pages + 1
        if cursor is None:
            break
    assert (seen, pages) == (ids[::-1], 3)


def test_a_page_ends_early_when_it_has_many_events(
    call: Call, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [register(call) for _ in range(3)]
    for message in messages:
        visitor.get(message["links"][0]["tracked_url"])
        visitor.get(message["links"][1]["tracked_url"])
    visitor.ingest()
    monkeypatch.setattr("app.web.api.recipients.MAX_EVENTS", 4)
    page = export(call)
    assert [len(one["events"]) for one in page["messages"]] == [3, 3], "two clicks and the open they imply"
    rest = export(call, cursor=page["next_cursor"])
    assert ([one["id"] for one in rest["messages"]], rest["next_cursor"]) == ([messages[0]["id"]], None)


@pytest.mark.parametrize("cursor", ["x", "msg_0", "msg_", "10"])
def test_a_cursor_of_somebody_elses_making_is_refused(call: Call, cursor: str) -> None:
    assert_problem(call("POST", EXPORT, {"address": ANN, "cursor": cursor}), 400, "invalid_cursor")


@pytest.mark.parametrize("limit", [0, 201, "50", 1.5])
def test_a_page_has_bounds(call: Call, limit: object) -> None:
    assert_problem(call("POST", EXPORT, {"address": ANN, "limit": limit}), 422, "invalid_request")


def test_each_call_needs_its_own_scope(client: FlaskClient, key_of: Callable[..., str]) -> None:
    for scope, may in ((Scope.RECIPIENTS_WRITE, ERASE), (Scope.RECIPIENTS_READ, EXPORT), (Scope.MESSAGES_WRITE, "")):
        headers = {"Authorization": f"Bearer {key_of('alder', scope)}"}
        for path in (ERASE, EXPORT):
            response = client.post(path, headers=headers, json={"address": ANN})
            if path == may:
                assert response.status_code == 200
            else:
                assert_problem(response, 403, "missing_scope")


def test_past_its_retention_a_message_is_still_found_and_says_little(call: Call, services: Services) -> None:
    old, new = register(call), register(call)
    number = services.codes.message_number(old["id"])
    past = clock.now() - timedelta(days=400)
    services.database["messages"].update_one({"_id": number}, {"$set": {"at": past}})
    assert services.messages.strip_older_than("alder", clock.now() - timedelta(days=300), 100) == 1
    shown, stripped = export(call)["messages"]
    assert (shown["id"], shown["address"]) == (new["id"], ANN)
    assert (stripped["id"], stripped["list_id"]) == (old["id"], "news")
    assert (stripped["metadata"], stripped["values"], "address" in stripped) == ({}, {}, False)
    assert done(call, ERASE, {"message_id": old["id"]})["messages"] == 2


def test_the_person_of_a_sealed_token_is_found_too(call: Call, visitor: Visitor) -> None:
    token = {"purpose": "open", "reference": "r-1", "address": ANN}
    visitor.get(call("POST", "/v1/tokens", {"tokens": [token]}).get_json()["tokens"][0]["url"])
    visitor.ingest()
    (one,) = export(call)["messages"]
    assert (one["address"], len(one["events"])) == (ANN, 1)
    assert call("GET", f"/v1/messages/{one['id']}").get_json()["recipient"]["address"] == ANN
    assert done(call, ERASE, {"message_id": one["id"]})["messages"] == 1
    assert export(call)["messages"] == []


def test_a_key_of_the_caller_guards_against_another_person(call: Call) -> None:
    register(call)
    first = call("POST", ERASE, {"address": ANN}, idempotency="k")
    assert first.get_json()["messages"] == 1
    again = call("POST", ERASE, {"address": ANN}, idempotency="k")
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    other = call("POST", ERASE, {"address": "ben@mail.example"}, idempotency="k")
    assert_problem(other, 422, "idempotency_key_reused")


def test_a_person_with_thousands_of_messages_is_erased_in_one_call(call: Call, services: Services) -> None:
    recipients = [{"address": ANN, "id": f"c-{n}"} for n in range(1000)]
    body = email(recipients=recipients, **{"return": "links"})
    ids = [message["id"] for _ in range(2) for message in call("POST", "/v1/messages", body).get_json()["messages"]]
    last = register(call)["id"]
    assert done(call, ERASE, {"address": ANN}) == {"messages": 2001, "complete": True, "suppressed": True}
    for message_id in (ids[0], ids[1999], last):
        assert call("GET", f"/v1/messages/{message_id}").get_json()["erased"]
    assert services.database["erased_messages"].count_documents({}) == 2001
    assert export(call)["messages"] == []
