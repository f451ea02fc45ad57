"""Signatures against known answers and against the library our brands use."""

from __future__ import annotations

import base64
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from app.brands.secrets import new_webhook_secret, parse_webhook_secret
from app.webhooks.signing import sign

SECRET_1 = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
SECRET_2 = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
KEY_1, KEY_2 = bytes(range(32)), bytes(range(32, 64))
EVENT_ID = "evt_01JGFJJZ00N5Q8ZK3W7D9XBTEM"
BODY = (
    b'{"id":"evt_01JGFJJZ00N5Q8ZK3W7D9XBTEM","type":"message.bounced","timestamp":"2026-01-01T00:00:00.000Z",'
    b'"data":{"message_id":"msg_7","channel":"email","class":"hard"}}'
)
SIGNATURE_1 = "v1,m9kvvCVA8UWQIqpHIuVyJWBbmkg8xP9sEzwldP3PRII="
SIGNATURE_2 = "v1,kGpxXULUeJrJ0TGGp+TIinpMXgFnc6g2ySOodfEteyc="


def test_the_known_answers() -> None:
    assert (parse_webhook_secret(SECRET_1), parse_webhook_secret(SECRET_2)) == (KEY_1, KEY_2)
    assert len(BODY) == 166
    assert sign([KEY_1], EVENT_ID, 1767225605, BODY) == SIGNATURE_1
    assert sign([KEY_2, KEY_1], EVENT_ID, 1767225605, BODY) == f"{SIGNATURE_2} {SIGNATURE_1}"


def test_the_vector_of_the_standards_own_tests() -> None:
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=5))
def test_each_of_several_secrets_verifies_and_no_other(content: dict[str, str]) -> None:
    body = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
    now = int(time.time())
    headers = {
        "webhook-id": EVENT_ID,
        "webhook-timestamp": str(now),
        "webhook-signature": sign([KEY_2, KEY_1], EVENT_ID, now, body),
    }
    for secret in (SECRET_1, SECRET_2):
        assert Webhook(secret).verify(body, headers) == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_webhook_secret()).verify(body, headers)


def test_a_changed_body_id_or_time_does_not_verify() -> None:
    now = int(time.time())
    signature = sign([KEY_1], EVENT_ID, now, BODY)
    good = {"webhook-id": EVENT_ID, "webhook-timestamp": str(now), "webhook-signature": signature}
    Webhook(SECRET_1).verify(BODY, good)
    for body, changes in (
        (BODY + b" ", {}),
        (BODY, {"webhook-id": EVENT_ID[:-1]}),
        (BODY, {"webhook-timestamp": str(now + 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET_1).verify(body, good | changes)


@pytest.mark.parametrize("keys", [[], [bytes(23)], [bytes(32), bytes(65)]])
def test_keys_of_a_wrong_length_do_not_sign(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="24 to 64"):
        sign(keys, EVENT_ID, 1, b"{}")


@pytest.mark.parametrize("length", [24, 64])
def test_the_shortest_and_longest_keys_sign(length: int) -> None:
    now, key = int(time.time()), bytes(length)
    headers = {
        "webhook-id": EVENT_ID,
        "webhook-timestamp": str(now),
        "webhook-signature": sign([key], EVENT_ID, now, BODY),
    }
    Webhook("whsec_" + base64.b64encode(key).decode()).verify(BODY, headers)


@pytest.mark.parametrize("webhook_id", ["evt.1", "evt_é", "", "evt_1\n", "evt 1", "e" * 65, "evt_１"])
def test_an_id_that_could_be_read_two_ways_is_refused(webhook_id: str) -> None:
    with pytest.raises(ValueError, match="dot"):
        sign([KEY_1], webhook_id, 1, b"{}")
