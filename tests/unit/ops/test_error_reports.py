"""What leaves for Sentry: a transport that keeps the envelopes, errors full of marks, and none of the marks in them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sentry_sdk
from flask import Flask, request
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from config.sentry import setup_sentry
from config.settings import Settings, load_settings

ADDRESS = "marta.mark@inbox.example"
NAME = "Marta Markenstein"
PHONE = "+4915123456789"
CODE = "Xk29fLmQ7"
TOKEN = "geheimesTokenAusDerQuery"
MARKS = (ADDRESS, "marta.mark", NAME, "Markenstein", PHONE, "15123456789", CODE, TOKEN)


class Kept(Transport):
    def __init__(self) -> None:
        super().__init__()
        self.envelopes: list[Envelope] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.envelopes.append(envelope)

    def text(self) -> str:
        return "\n".join(envelope.serialize().decode() for envelope in self.envelopes)


@pytest.fixture
def settings() -> Settings:
    key = "A" * 43 + "="
    given = {"MONGO_URL": "m", "REDIS_URL": "r", "CODE_KEY": key, "MASTER_KEYS": f"k:{key}", "HOST_NAME": "web1"}
    settings = load_settings({f"TELLTALE_{name}": value for name, value in given.items()})
    return replace(settings, sentry_dsn="https://public@sentry.example/1")


@pytest.fixture
def kept(settings: Settings) -> Iterator[Kept]:
    transport = Kept()
    assert setup_sentry(settings, transport=transport)
    with sentry_sdk.isolation_scope():
        yield transport
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)


def _app() -> Flask:
    app = Flask("marked")

    @app.post("/c/<code>")
    def fail(code: str) -> str:
        recipient = {"email": ADDRESS, "name": NAME, "phone": PHONE}
        logging.getLogger("app.x").error("could not tell %s", recipient)
        sentry_sdk.add_breadcrumb(message=f"looked up {NAME}", data=recipient)
        sentry_sdk.set_user({"email": ADDRESS, "username": NAME})
        sentry_sdk.set_context("recipient", recipient)
        sentry_sdk.set_extra("recipient", recipient)
        sentry_sdk.set_tag("path", f"/c/{code} {ADDRESS}")
        if not request.get_json():
            return ""
        try:
            raise KeyError(ADDRESS)
        except KeyError as error:
            raise ValueError(f"{NAME} <{ADDRESS}> {PHONE} {code}") from error

    return app


def _post(app: Flask) -> None:
    answer = app.test_client().post(
        f"/c/{CODE}?p={TOKEN}&to={ADDRESS}",
        json={"to": ADDRESS, "name": NAME},
        headers={"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "203.0.113.9", "Referer": f"https://a/{CODE}"},
    )
    assert answer.status_code == 500


def test_an_error_in_a_request_leaves_without_one_mark(kept: Kept) -> None:
    _post(_app())
    text = kept.text()
    assert [mark for mark in (*MARKS, "203.0.113.9") if mark in text] == []


def test_what_is_left_is_enough_to_find_the_fault(kept: Kept) -> None:
    _post(_app())
    assert len(kept.envelopes) == 1
    event = kept.envelopes[0].get_event()
    assert event is not None
    values = event["exception"]["values"]
    assert [value["type"] for value in values] == ["KeyError", "ValueError"]
    frames = values[-1]["stacktrace"]["frames"]
    assert frames[-1]["function"] == "fail"
    assert frames[-1]["lineno"] > 0
    assert event["transaction"] == "fail"
    assert event["request"] == {"method": "POST", "url": "http://localhost/c/…"}
    assert event["server_name"] == "web1"


def test_an_error_that_a_task_reports_leaves_without_its_text(kept: Kept) -> None:
    def deliver(address: str, name: str) -> None:
        raise RuntimeError(f"{name} <{address}>")

    try:
        deliver(ADDRESS, NAME)
    except RuntimeError as error:
        sentry_sdk.capture_exception(error)
    sentry_sdk.capture_message(f"hello {NAME}")
    text = kept.text()
    assert "RuntimeError" in text
    assert [mark for mark in MARKS if mark in text] == []


def test_no_arguments_no_modules_no_environment_leave(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["prog", f"--to={ADDRESS}"])
    _post(_app())
    event: dict[str, Any] = json.loads(kept.envelopes[0].items[0].payload.get_bytes())
    allowed = {
        *("event_id", "timestamp", "level", "platform", "environment", "release", "server_name", "sdk", "type"),
        *("transaction", "contexts", "exception", "tags", "request"),
    }
    assert set(event) <= allowed


def test_without_a_dsn_nothing_is_set_up(settings: Settings) -> None:
    assert not setup_sentry(replace(settings, sentry_dsn=None))
    assert not sentry_sdk.get_client().is_active()
