"""`POST /v1/replies`: what somebody answered to an SMS; STOP suppresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.models.api_key import Scope
from app.models.block import Channel
from app.services import Services
from tests.integration.api.api_bodies import Call, assert_problem
from tests.integration.api.visitor import change_brand

NUMBER = "+4915112345678"


def reply(call: Call, text: str, address: str = NUMBER, **more: Any) -> dict[str, Any]:
    response = call("POST", "/v1/replies", {"address": address, "text": text}, **more)
    assert response.status_code == 200, response.get_data(as_text=True)
    found: dict[str, Any] = response.get_json()
    return found


def suppressed(services: Services, brand_id: str = "alder", list_id: str | None = None) -> bool:
    return services.suppressions.covers(brand_id, services.keyring.address_hash(brand_id, Channel.SMS, NUMBER), list_id)


@pytest.mark.parametrize("text", ["STOP", "stop.", " Stop! ", "Bitte stopp", "ARRET", "please stop texting me", "🛑"])
def test_stop_suppresses_the_number_for_every_list_of_the_brand(call: Call, services: Services, text: str) -> None:
    assert reply(call, text) == {"kind": "stop", "suppressed": True}
    assert suppressed(services)
    assert suppressed(services, list_id="news")
    assert not suppressed(services, "cedar")


def test_a_second_stop_changes_nothing(call: Call, services: Services) -> None:
    reply(call, "STOP")
    (before,) = services.database["suppressions"].find()
    assert reply(call, "stop stop stop") == {"kind": "stop", "suppressed": True}
    assert list(services.database["suppressions"].find()) == [before]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("START", "start"),
        ("Help?", "help"),
        ("Thank you!", "none"),
        ("Where is the bus stop?", "none"),
        ("...", "none"),
    ],
)
def test_nothing_else_does(call: Call, services: Services, text: str, kind: str) -> None:
    assert reply(call, text) == {"kind": kind, "suppressed": False}
    assert services.database["suppressions"].count_documents({}) == 0


def test_start_does_not_lift_it(call: Call, services: Services) -> None:
    reply(call, "STOP")
    assert reply(call, "START") == {"kind": "start", "suppressed": False}
    assert suppressed(services)


def test_a_brands_own_words_count_for_it_alone(call: Call, services: Services) -> None:
    assert reply(call, "Moin")["kind"] == "none"
    change_brand(services, "sms: {stop_words: [moin]}")
    assert reply(call, "Moin") == {"kind": "stop", "suppressed": True}
    assert reply(call, "Moin", brand="cedar")["kind"] == "none"
    assert suppressed(services)
    assert not suppressed(services, "cedar")


def test_what_was_written_and_by_whom_is_not_kept(call: Call, services: Services) -> None:
    reply(call, "STOP it, says mark-of-a-text", idempotency="k")
    dump = "".join(
        repr(document)
        for name in services.database.list_collection_names()
        for document in services.database[name].find()
    )
    assert "stop_word" in dump
    assert "mark-of-a-text" not in dump
    assert "15112345678" not in dump


@pytest.mark.parametrize("address", ["015112345678", "ann@mail.example", "+0", "", "+49 151 1234567", "x" * 300])
def test_an_address_that_is_no_number_is_refused(call: Call, services: Services, address: str) -> None:
    response = call("POST", "/v1/replies", {"address": address, "text": "STOP"})
    problem = assert_problem(response, 422, "invalid_request")
    assert [error["pointer"] for error in problem["errors"]] == ["/address"]
    assert services.database["suppressions"].count_documents({}) == 0


@pytest.mark.parametrize("body", [{}, {"address": NUMBER}, {"address": NUMBER, "text": ""}, {"text": "STOP"}])
def test_a_reply_has_a_number_and_a_text(call: Call, body: dict[str, Any]) -> None:
    assert_problem(call("POST", "/v1/replies", body), 422, "invalid_request")
    long = {"address": NUMBER, "text": "x" * 2001}
    assert_problem(call("POST", "/v1/replies", long), 422, "invalid_request")


def test_a_key_of_the_caller_guards_against_another_reply(call: Call) -> None:
    body = {"address": NUMBER, "text": "STOP"}
    first = call("POST", "/v1/replies", body, idempotency="k")
    again = call("POST", "/v1/replies", body, idempotency="k")
    assert (again.data, again.headers["Idempotent-Replayed"]) == (first.data, "true")
    other = call("POST", "/v1/replies", {**body, "text": "START"}, idempotency="k")
    assert_problem(other, 422, "idempotency_key_reused")


def test_a_key_without_the_scope_may_not(client: FlaskClient, key_of: Callable[..., str]) -> None:
    headers = {"Authorization": f"Bearer {key_of('alder', Scope.MESSAGES_READ)}"}
    response = client.post("/v1/replies", headers=headers, json={"address": NUMBER, "text": "STOP"})
    assert_problem(response, 403, "missing_scope")
