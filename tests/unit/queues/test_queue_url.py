"""Which queue URLs are accepted, what they say, and that nobody hears what they hold."""

from __future__ import annotations

import ipaddress

import pytest

from app.lib.queue_url import QueueKind, check_queue_url, read_queue_url

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("amqps://u:p@Broker.Alder.Example/?queue=q", "amqps://u:p@broker.alder.example/%2F?queue=q"),
        ("AMQPS://u:p@broker.alder.example:5671/v?queue=q", "amqps://u:p@broker.alder.example/v?queue=q"),
        ("amqps://u:p@broker.alder.example:443/v?queue=q", "amqps://u:p@broker.alder.example:443/v?queue=q"),
        ("amqps://u%40h:p%2f@broker.alder.example/%2F?queue=q", "amqps://u%40h:p%2F@broker.alder.example/%2F?queue=q"),
        ("amqps://u:p@b.alder.example?exchange=e", "amqps://u:p@b.alder.example/%2F?exchange=e"),
        (
            "amqps://u:p@b.alder.example/v?routing_key=k.1&exchange=e",
            "amqps://u:p@b.alder.example/v?exchange=e&routing_key=k.1",
        ),
        ("sqs://ID:s%2Fk@EU-west-1/123456789012/q", "sqs://ID:s%2Fk@eu-west-1/123456789012/q"),
        ("https://ID:s@sqs.eu-west-1.amazonaws.com/123456789012/q.fifo", "sqs://ID:s@eu-west-1/123456789012/q.fifo"),
        ("sqs://ID:s@cn-north-1/123456789012/q", "sqs://ID:s@cn-north-1/123456789012/q"),
        (
            "https://ID:s@queues.alder.example/123456789012/q?region=eu-west-1",
            "https://ID:s@queues.alder.example/123456789012/q?region=eu-west-1",
        ),
        ("amqp://u:p@127.0.0.1:2000/?queue=q", "amqp://u:p@127.0.0.1:2000/%2F?queue=q"),
        ("amqp://u:p@[::1]:2000/?queue=q", "amqp://u:p@[::1]:2000/%2F?queue=q"),
        (
            "http://ID:s@127.0.0.1:2000/123456789012/q?region=eu-west-1",
            "http://ID:s@127.0.0.1:2000/123456789012/q?region=eu-west-1",
        ),
    ],
)
def test_a_queue_url_has_one_normal_form(text: str, normal: str) -> None:
    assert check_queue_url(text, allow_networks=LOOPBACK) == normal
    assert check_queue_url(normal, allow_networks=LOOPBACK) == normal
    assert read_queue_url(normal) == read_queue_url(text)


AMQP = "amqps://user:hunter2@{}/v?queue=q"
SQS = "sqs://user:hunter2@eu-west-1/{}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "amqps://",
        "broker.alder.example",
        "redis://user:hunter2@broker.alder.example/q",
        # who it is
        "amqps://broker.alder.example/v?queue=q",
        "amqps://user@broker.alder.example/v?queue=q",
        "amqps://user:@broker.alder.example/v?queue=q",
        "amqps://:hunter2@broker.alder.example/v?queue=q",
        "amqps://user:hunter2:x@broker.alder.example/v?queue=q",
        "amqps://user:hunter2%ff@broker.alder.example/v?queue=q",
        "amqps://user:hunter2%@broker.alder.example/v?queue=q",
        "amqps://user:hunter2@x@broker.alder.example/v?queue=q",
        # where it leads
        "amqp://user:hunter2@broker.alder.example/v?queue=q",
        "http://user:hunter2@broker.alder.example/123456789012/q?region=eu-west-1",
        *(
            AMQP.format(host)
            for host in (
                *("broker", "localhost", "broker.local", "rabbitmq.svc", "broker.internal", "127.0.0.1", "10.0.0.1"),
                *("2130706433", "0x7f000001", "127.1", "8.8.8.8", "[::1]", "::1", "[fe80::1%25eth0]", "a b.example"),
                *("broker.alder.example:22", "broker.alder.example:25", "broker.alder.example:6379"),
                *("broker.alder.example:5672", "broker.alder.example:0", "broker.alder.example:70000", "a.example:x"),
                *("bröker.alder.example", "broker.alder.example\\@127.0.0.1", "broker\t.alder.example"),
            )
        ),
        # what it names
        "amqps://user:hunter2@broker.alder.example/v",
        "amqps://user:hunter2@broker.alder.example/v?queue=",
        "amqps://user:hunter2@broker.alder.example/v?queue=q&exchange=e",
        "amqps://user:hunter2@broker.alder.example/v?queue=q&routing_key=k",
        "amqps://user:hunter2@broker.alder.example/v?queue=q&queue=r",
        "amqps://user:hunter2@broker.alder.example/v?queue=q&heartbeat=1",
        "amqps://user:hunter2@broker.alder.example/v/w?queue=q",
        "amqps://user:hunter2@broker.alder.example/v?queue=q#f",
        "amqps://user:hunter2@broker.alder.example/v?queue=q%0d%0a",
        "amqps://user:hunter2@broker.alder.example/v?queue=" + "q" * 256,
        "amqps://user:hunter2@broker.alder.example/v?queue=" + "q" * 2048,
        *(SQS.format(rest) for rest in ("", "q", "1234/q", "123456789012/", "123456789012/q/r", "123456789012/q.std")),
        SQS.format("123456789012/" + "q" * 81),
        "sqs://user:hunter2@nowhere/123456789012/q",
        "sqs://user:hunter2@eu-west-1.evil.example/123456789012/q",
        "https://user:hunter2@queues.alder.example/123456789012/q",
        "https://user:hunter2@queues.alder.example:6379/123456789012/q?region=eu-west-1",
    ],
)
def test_what_is_refused_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        check_queue_url(text)
    assert str(refused.value).startswith(("must ", "has "))
    assert "hunter2" not in repr(refused.value)
    assert refused.value.__cause__ is None or "hunter2" not in repr(refused.value.__cause__)


def test_the_operator_can_allow_plain_connections_and_ports() -> None:
    assert check_queue_url("amqp://u:p@b.alder.example/?queue=q", allow_plain=True).startswith("amqp://")
    assert ":5673/" in check_queue_url("amqps://u:p@b.alder.example:5673/?queue=q", extra_ports={5673})


def test_a_queue_url_says_where_and_what() -> None:
    target = read_queue_url("amqps://us%40er:p%3Aw@b.alder.example/v%2Fw?exchange=e")
    assert (target.kind, target.origin) == (QueueKind.AMQP, "amqps://b.alder.example")
    assert (target.user, target.password, target.virtual_host) == ("us@er", "p:w", "v/w")
    assert (target.exchange, target.routing_key, target.is_fifo) == ("e", "", False)
    target = read_queue_url("sqs://ID:s@eu-west-1/123456789012/q.fifo")
    assert (target.kind, target.origin) == (QueueKind.SQS, "https://sqs.eu-west-1.amazonaws.com")
    assert (target.account, target.name, target.region, target.is_fifo) == ("123456789012", "q.fifo", "eu-west-1", True)


def test_a_target_does_not_show_its_credentials() -> None:
    shown = repr(read_queue_url("amqps://hidden-user:hidden-password@b.alder.example/?queue=q"))
    assert "hidden" not in shown
