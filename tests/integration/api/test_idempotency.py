"""`Idempotency-Key`: the same call twice, at once, half-way, and with another body."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.errors import StoreUnavailable
from app.models.message import Message
from app.services import Services
from app.storage.idempotency import LIFETIME
from app.storage.messages import Messages
from tests.integration.api.api_bodies import Call, assert_problem, email


def counts(services: Services) -> tuple[int, int]:
    return services.database["blocks"].count_documents({}), services.database["messages"].count_documents({})


def test_a_repeat_gives_the_same_answer_and_stores_nothing_new(call: Call, services: Services) -> None:
    first = call("POST", "/v1/messages", email(), idempotency="order-1")
    again = call("POST", "/v1/messages", email(), idempotency="order-1")
    assert first.status_code == again.status_code == 201
    assert first.data == again.data
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert counts(services) == (1, 1)


def test_without_a_key_every_call_is_new(call: Call, services: Services) -> None:
    first, again = (call("POST", "/v1/messages", email()) for _ in range(2))
    assert first.get_json()["messages"][0]["id"] != again.get_json()["messages"][0]["id"]
    assert counts(services) == (2, 2)


def test_the_same_key_with_another_body_is_refused(call: Call, services: Services) -> None:
    call("POST", "/v1/messages", email(), idempotency="order-1")
    other = call("POST", "/v1/messages", email(campaign_id="summer"), idempotency="order-1")
    assert_problem(other, 422, "idempotency_key_reused")
    assert counts(services) == (1, 1)


def test_the_same_key_on_another_path_is_refused(call: Call) -> None:
    (message,) = call("POST", "/v1/messages", email(), idempotency="order-1").get_json()["messages"]
    other = call("POST", f"/v1/messages/{message['id']}/events", {"type": "sent"}, idempotency="order-1")
    assert_problem(other, 422, "idempotency_key_reused")


def test_two_brands_may_use_the_same_key(call: Call) -> None:
    one = call("POST", "/v1/messages", email(), idempotency="order-1")
    content = {"html": '<a href="https://birch.example/">x</a>'}
    two = call("POST", "/v1/messages", email(content=content), idempotency="order-1", brand="birch")
    assert one.status_code == two.status_code == 201
    assert "Idempotent-Replayed" not in two.headers


def test_calls_at_the_same_time_give_one_answer(call: Call, services: Services, client: FlaskClient) -> None:
    call("GET", "/v1/events")  # the key is known before the race
    answers: list[TestResponse] = []
    barrier = threading.Barrier(8)

    def send() -> None:
        barrier.wait()
        answers.append(call("POST", "/v1/messages", email(), idempotency="order-1"))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [answer.status_code for answer in answers] == [201] * 8
    assert len({answer.data for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert counts(services) == (1, 1)


@pytest.mark.parametrize("lost", [("messages",), ("blocks", "messages")])
def test_a_repeat_heals_a_call_that_died_half_way(call: Call, services: Services, lost: tuple[str, ...]) -> None:
    recipients = [{"address": f"user{n}@mail.example"} for n in range(20)]
    first = call("POST", "/v1/messages", email(recipients=recipients), idempotency="order-1")
    number = services.codes.message_number(first.get_json()["messages"][7]["id"])
    assert number is not None
    before = services.messages.get(number)
    for name in lost:
        services.database[name].delete_many({})
    again = call("POST", "/v1/messages", email(recipients=recipients), idempotency="order-1")
    assert again.data == first.data
    assert counts(services) == (1, 20)
    assert services.messages.get(number) == before


def test_a_store_that_fails_in_the_middle_is_503_and_the_repeat_completes_it(
    call: Call, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Messages, messages: list[Message]) -> None:
        raise StoreUnavailable("mark-of-the-driver")

    with monkeypatch.context() as patched:
        patched.setattr(Messages, "insert_many", fail)
        failed = call("POST", "/v1/messages", email(), idempotency="order-1")
    assert_problem(failed, 503, "unavailable")
    assert failed.headers["Retry-After"].isdigit()
    assert "mark-of-the-driver" not in failed.get_data(as_text=True)
    assert counts(services) == (1, 0)
    again = call("POST", "/v1/messages", email(), idempotency="order-1")
    assert again.status_code == 201
    assert again.headers["Idempotent-Replayed"] == "true"
    assert counts(services) == (1, 1)


def test_a_refused_call_does_not_use_its_key_up(call: Call) -> None:
    assert call("POST", "/v1/messages", email(campaign_id=""), idempotency="order-1").status_code == 422
    assert call("POST", "/v1/messages", email(), idempotency="order-1").status_code == 201


def test_a_repeat_after_the_brand_changed_is_a_conflict_and_not_another_answer(
    call: Call, services: Services, tmp_path: Any
) -> None:
    first = call("POST", "/v1/messages", email(), idempotency="order-1")
    assert first.status_code == 201
    file = services.settings.brands_file
    file.write_text(file.read_text().replace("header: false, footer: true", "header: true, footer: true"))
    services.__dict__.pop("brands")  # as a process that starts after the change
    assert_problem(call("POST", "/v1/messages", email(), idempotency="order-1"), 409, "idempotency_settings_changed")


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a b", "é", "a\tb"])
def test_a_key_that_is_not_visible_ascii_is_refused(call: Call, key: str) -> None:
    assert_problem(call("POST", "/v1/messages", email(), idempotency=key), 400, "invalid_idempotency_key")


def test_records_hold_nothing_readable_and_expire_after_a_day(call: Call, services: Services) -> None:
    call("POST", "/v1/messages", email(), idempotency="mark-of-a-key")
    (record,) = services.database["idempotency"].find()
    assert record["_id"].startswith("alder:")
    assert set(record) == {"_id", "fingerprint", "start", "resource", "plan", "created_at"}
    assert "mark" not in repr(record)
    indexes = services.database["idempotency"].index_information()
    assert indexes["ttl"]["expireAfterSeconds"] == LIFETIME.total_seconds() == 86_400
