"""Queues of brands as tests see them: a real RabbitMQ and moto's SQS, one of each for all tests that ask."""

from __future__ import annotations

import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from amqp import Connection

from app.queues.message import QueueMessage
from local.binaries import MissingProgram, script
from local.ports import LOOPBACK, free_port
from local.rabbitmq import USER, RabbitMq, start_rabbitmq
from local.servers import Server
from tests.contracts.certificates import self_signed

TLS_HOST = "localhost"
"""RabbitMQ's certificate is for this name, and lies in its folder as `chain.pem`."""
ACCOUNT, REGION = "123456789012", "eu-west-1"


class Received(NamedTuple):
    """A message as its consumer finds it."""

    id: str
    headers: dict[str, str]
    body: bytes


class Queue(NamedTuple):
    """A queue of a brand on a real broker."""

    url: str
    missing_url: str
    """Of a queue that is not there."""
    read: Callable[[], list[Received]]
    """Takes out everything that is in it."""


class OpenGuard:
    """Allows what the tests' own servers listen on."""

    def allows(self, text: str) -> bool:
        return text in (LOOPBACK, "::1")


def message(number: int = 1, **fields: Any) -> QueueMessage:
    values = {
        "id": f"evt_{number:026d}",
        "timestamp": 1767225605,
        "signature": "v1,m9kvvCVA8UWQIqpHIuVyJWBbmkg8xP9sEzwldP3PRII=",
        "event_type": "message.bounced",
        "brand_id": "alder",
        "reason": "breaker_open",
        "body": b'{"id":"evt_%026d","data":{"text":"stra\\u00dfe"}}' % number,
        "group": f"msg_{number % 3}",
    }
    return QueueMessage(**{**values, **fields})  # type: ignore[arg-type]  # a test's own values


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMq]:
    """The one broker of this run; a test that ends it starts it again."""
    try:
        broker = _shared("rabbitmq", lambda: _start_rabbitmq(tmp_path_factory.mktemp("rabbitmq")))
    except MissingProgram as reason:
        pytest.skip(str(reason))
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def sqs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = _shared("sqs", lambda: _start_sqs(tmp_path_factory.mktemp("sqs")))
    yield server
    server.stop()


_started: dict[str, Any] = {}


def _shared(name: str, start: Callable[[], Any]) -> Any:
    """Once per run: a fixture is another one in every module that imports it."""
    if name not in _started:
        _started[name] = start()
    return _started[name]


def _start_rabbitmq(folder: Path) -> RabbitMq:
    return start_rabbitmq(folder, certificate=self_signed(folder, TLS_HOST))


def _start_sqs(folder: Path) -> Server:
    port = free_port()
    with (folder / "moto.log").open("ab") as log:
        command = [str(script("moto_server")), "-H", LOOPBACK, "-p", str(port)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    server = Server(process, f"http://{LOOPBACK}:{port}", port, folder)
    _wait_for(server)
    return server


def _wait_for(server: Server) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection((LOOPBACK, server.port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "moto was not ready in time"
            time.sleep(0.05)


def connect(broker: RabbitMq) -> Connection:
    """A consumer's connection."""
    connection = Connection(f"{LOOPBACK}:{broker.port}", USER, broker.password, login_method="PLAIN")
    connection.connect()
    return connection


def amqp_queue(broker: RabbitMq, kind: str = "classic", **arguments: Any) -> Queue:
    """A new durable queue."""
    name = f"events-{secrets.token_hex(4)}"
    with connect(broker) as connection:
        arguments = {"x-queue-type": kind, **{key.replace("_", "-"): value for key, value in arguments.items()}}
        connection.channel().queue_declare(name, durable=True, auto_delete=False, arguments=arguments)
    return Queue(f"{broker.url}?queue={name}", f"{broker.url}?queue=no-{name}", lambda: _read_amqp(broker, name))


def _read_amqp(broker: RabbitMq, name: str) -> list[Received]:
    received = []
    with connect(broker) as connection:
        channel = connection.channel()
        while (got := channel.basic_get(name, no_ack=True)) is not None:
            assert got.properties["delivery_mode"] == 2, "not persistent"
            body = got.body if isinstance(got.body, bytes) else got.body.encode()
            headers = {name: value for name, value in got.headers.items() if not name.startswith("x-")}  # the broker's
            received.append(Received(got.properties["message_id"], headers, body))
    return received


def sqs_queue(server: Server, suffix: str = "") -> Queue:
    """A new queue; FIFO when the suffix is `.fifo`."""
    name = f"events-{secrets.token_hex(4)}{suffix}"
    client = boto3.client(
        "sqs",
        region_name=REGION,
        endpoint_url=server.url,
        aws_access_key_id="id",
        aws_secret_access_key="secret",
    )
    where = client.create_queue(QueueName=name, Attributes={"FifoQueue": "true"} if suffix else {})["QueueUrl"]
    base = f"http://KEYID:s3cr%2Fet@{LOOPBACK}:{server.port}/{ACCOUNT}"
    return Queue(
        f"{base}/{name}?region={REGION}", f"{base}/no-{name}?region={REGION}", lambda: _read_sqs(client, where)
    )


def _read_sqs(client: Any, where: str) -> list[Received]:
    received = []
    while True:
        answer = client.receive_message(QueueUrl=where, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        if not answer.get("Messages"):
            return received
        for one in answer["Messages"]:
            headers = {name: value["StringValue"] for name, value in one["MessageAttributes"].items()}
            received.append(Received(headers["webhook-id"], headers, one["Body"].encode()))
            client.delete_message(QueueUrl=where, ReceiptHandle=one["ReceiptHandle"])
