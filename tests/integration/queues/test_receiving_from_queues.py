"""The consumers of docs/receiving-queues.md, as a reader would copy them, on a real RabbitMQ and on SQS."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from app.queues.message import QueueMessage
from app.queues.publisher import Queues
from app.webhooks.signing import sign
from local.rabbitmq import RabbitMq
from local.servers import Server
from tests.contracts.brokers import REGION, amqp_queue, message, sqs_queue

SECRET, OLD_SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "whsec_" + "ICEi" * 10 + "IyM="
SECONDS = 20.0
AN_HOUR_AGO = int(time.time()) - 3600


class Enough(Exception):
    """Ends a consumer that would go on for ever."""


@pytest.fixture(scope="module")
def sample() -> dict[str, Any]:
    text = (Path(__file__).parents[3] / "docs" / "receiving-queues.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile("\n".join(blocks), "receiving-queues.md", "exec"), names)
    return names


@pytest.fixture
def seen() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE seen (id TEXT PRIMARY KEY)")
    return database


def signed(number: int, key: bytes = bytes(range(32)), body: bytes = b"") -> QueueMessage:
    content = body or json.dumps({"id": message(number).id, "type": "message.opened", "data": {"n": number}}).encode()
    signature = sign([key], message(number).id, AN_HOUR_AGO, content)
    return message(number, timestamp=AN_HOUR_AGO, signature=signature, body=content)


def batch(number: int, *members: int) -> QueueMessage:
    events = [{"id": message(one).id, "type": "message.opened", "data": {"n": one}} for one in members]
    content = {"id": message(number).id, "type": "events.batch", "data": {"count": len(events), "events": events}}
    return signed(number, body=json.dumps(content).encode())._replace(event_type="events.batch")


# A forgery, an event, the same again, and a batch with it and two others.
SENT = [signed(66, key=b"x" * 32), signed(1), signed(1), batch(50, 1, 2, 3)]


class Work:
    def __init__(self) -> None:
        self.done: list[int] = []

    def __call__(self, event: dict[str, Any]) -> None:
        self.done.append(event["data"]["n"])
        if event["data"]["n"] == 9:
            raise Enough


def test_the_sample_reads_rabbitmq_an_hour_later_and_works_on_each_event_once(
    rabbitmq: RabbitMq, queues: Queues, sample: dict[str, Any], seen: sqlite3.Connection
) -> None:
    dead = amqp_queue(rabbitmq)
    arguments = {"x_dead_letter_exchange": "", "x_dead_letter_routing_key": dead.url.partition("?queue=")[2]}
    queue = amqp_queue(rabbitmq, "quorum", **arguments)
    assert queues.publish(queue.url, [*SENT, signed(9)], deadline_seconds=SECONDS).failure is None
    url, _, name = queue.url.partition("?queue=")
    work = Work()
    with pytest.raises(Enough):
        sample["consume"](url, name, [OLD_SECRET, SECRET], seen, work)
    assert work.done == [1, 2, 3, 9]
    assert [one.id for one in dead.read()] == [SENT[0].id], "the forgery"
    assert [one.id for one in queue.read()] == [signed(9).id], "the one that was not finished comes again"


def test_the_sample_reads_sqs_an_hour_later_and_works_on_each_event_once(
    sqs: Server, queues: Queues, sample: dict[str, Any], seen: sqlite3.Connection
) -> None:
    queue = sqs_queue(sqs)
    assert queues.publish(queue.url, [*SENT, signed(9)], deadline_seconds=SECONDS).failure is None
    keys = {"aws_access_key_id": "id", "aws_secret_access_key": "secret"}
    client = boto3.client("sqs", region_name=REGION, endpoint_url=sqs.url, **keys)
    work = Work()
    where = "http://" + queue.url.partition("@")[2].partition("?")[0]
    with pytest.raises(Enough):
        sample["consume_sqs"](client, where, [SECRET], seen, work)
    assert sorted(work.done) == [1, 2, 3, 9]


def test_the_librarys_verify_refuses_after_an_hour_what_the_recipe_accepts(sample: dict[str, Any]) -> None:
    late = signed(1)
    headers = {
        "webhook-id": late.id,
        "webhook-timestamp": str(late.timestamp),
        "webhook-signature": f"v1,AAAA {late.signature}",
    }
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(SECRET).verify(late.body, headers)
    assert sample["is_genuine"]([SECRET], headers, late.body)
    assert not sample["is_genuine"]([OLD_SECRET], headers, late.body)
    assert not sample["is_genuine"]([SECRET], headers, late.body + b" ")
    assert not sample["is_genuine"]([SECRET], {**headers, "webhook-id": "evt_2"}, late.body)
