"""What the listener says of a request: verified as `standardwebhooks` does it, and why not."""

from __future__ import annotations

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.webhooks.listener import describe
from app.webhooks.signing import sign
from app.webhooks.verify import fault_of

KEY, OTHER = bytes(range(32)), bytes(range(32, 64))
BODY = b'{"id":"evt_1","type":"message.bounced","timestamp":"2026-01-01T00:00:00.000Z","data":{"class":"hard"}}'
NOW = 1_767_225_605


def headers(**changed: str) -> dict[str, str]:
    signed = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(NOW),
        "webhook-signature": sign([OTHER, KEY], "evt_1", NOW, BODY),
        "x-telltale-attempt": "2",
    }
    return signed | {name.replace("_", "-"): value for name, value in changed.items()}


def test_either_secret_of_a_rotation_verifies() -> None:
    assert fault_of([KEY], headers(), BODY, NOW) == ""
    assert fault_of([OTHER], headers(), BODY, NOW + 300) == ""


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"webhook_id": ""}, "there is no header webhook-id"),
        ({"webhook_signature": ""}, "there is no header webhook-signature"),
        ({"webhook_timestamp": "soon"}, "not a number of seconds"),
        ({"webhook_timestamp": "١٢٣"}, "not a number of seconds"),
        ({"webhook_id": "evt.1"}, "has a dot"),
        ({"webhook_timestamp": str(NOW - 301)}, "is 301 seconds old"),
        ({"webhook_timestamp": str(NOW + 301)}, "is 301 seconds ahead"),
        ({"webhook_signature": "v2,abc x"}, "no signature of version v1"),
        ({"webhook_signature": "v1,abc"}, "no signature matches"),
        ({"webhook_id": "evt_2"}, "no signature matches"),
    ],
)
def test_what_does_not_verify_says_why(changed: dict[str, str], says: str) -> None:
    assert says in fault_of([KEY], headers(**changed), BODY, NOW)


def test_another_secret_or_body_does_not_verify_as_the_library_says_too() -> None:
    assert "no signature matches" in fault_of([bytes(32)], headers(), BODY, NOW)
    assert "no signature matches" in fault_of([KEY], headers(), BODY + b" ", NOW)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").verify(BODY + b" ", headers())


def test_an_event_takes_two_lines() -> None:
    assert list(describe(headers(), BODY, "")) == [
        "evt_1  attempt 2  102 bytes  2 signatures  verified",
        '  message.bounced  evt_1  2026-01-01T00:00:00.000Z  {"class":"hard"}',
    ]


def test_a_batch_takes_a_line_for_each_event() -> None:
    events = b",".join(b'{"id":"evt_%d","type":"message.opened","data":{}}' % number for number in range(3))
    body = b'{"id":"bat_1","type":"events.batch","data":{"count":3,"events":[%s]}}' % events
    lines = list(describe({"webhook-id": "bat_1"}, body, None))
    assert lines[0].startswith("bat_1  ")
    assert "not verified (no --secret given)" in lines[0]
    assert [line.split()[:2] for line in lines[1:]] == [["message.opened", f"evt_{number}"] for number in range(3)]


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"1", b'{"data":{"events":"x"},"type":"events.batch"}'])
def test_whatever_comes_is_described_in_plain_characters(body: bytes) -> None:
    lines = list(describe({"webhook-id": "\x1b[2J\x07é", "webhook-signature": "\n"}, body, "x"))
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert "DOES NOT VERIFY: x" in lines[0]


def test_long_data_is_cut() -> None:
    body = b'{"id":"evt_1","type":"a","data":{"long":"%s"}}' % (b"x" * 5000)
    assert max(len(line) for line in describe({}, body, "")) < 400
