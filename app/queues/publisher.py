"""Hands events to brands' queues: one call, one queue, some messages, and what the queue confirmed.

The connections (`amqp_link`, `sqs_link`) know one protocol each; this says which, keeps them between calls (`pool`) and
sees to it that nothing takes longer than its caller allowed.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence

from app.lib.bounded_socket import BoundedSocket
from app.lib.guarded_dial import BlockedHost, Guard, dial
from app.lib.queue_url import QueueKind, QueueTarget, read_queue_url
from app.queues.amqp_link import AmqpLink
from app.queues.message import Published, QueueError, QueueFailure, QueueMessage
from app.queues.pool import Link, Pool
from app.queues.sqs_link import SqsLink


class Queues:
    """Every brand's queue. One per process; threads may share it, and a fork may use what it inherited.

    Args:
        guard: asked about the address of every dial.
        tls: None: TLS 1.2 and the machine's authorities.
    """

    def __init__(self, guard: Guard, *, tls: ssl.SSLContext | None = None) -> None:
        self._guard = guard
        self._tls = tls or ssl.create_default_context()
        self._pool = Pool()

    def publish(self, queue_url: str, messages: Sequence[QueueMessage], *, deadline_seconds: float) -> Published:
        """Hand messages to a queue and wait for its confirmation. Blocks, for `deadline_seconds` at most.

        At least once: what is not confirmed may be in the queue all the same, and consumers drop duplicates by
        `webhook-id`. What the network and the queue do is in the answer, never an exception.

        Args:
            queue_url: as `check_queue_url` gave it back.

        Raises:
            ValueError: `queue_url` is none; the text has nothing of it.
        """
        target = read_queue_url(queue_url)
        if not messages:
            return Published(frozenset())
        until = time.monotonic() + deadline_seconds
        link = self._pool.take(queue_url, self._guard)
        if link is not None:
            published = self._publish_over(link, queue_url, messages, until)
            if link.usable or published.confirmed or published.failure is not QueueFailure.UNAVAILABLE:
                return published
            # It may have ended while it rested, or between the look at it and the first message.
        try:
            link = self._connect(target, until)
        except QueueError as error:
            return Published(frozenset(), error.failure, detail=str(error))
        return self._publish_over(link, queue_url, messages, until)

    def close(self) -> None:
        """Close the connections that rest."""
        self._pool.close()

    def _publish_over(self, link: Link, queue_url: str, messages: Sequence[QueueMessage], until: float) -> Published:
        published = link.publish(messages, until)
        if link.usable:
            self._pool.put(queue_url, link)
        else:
            link.socket.close()
        return published

    def _connect(self, target: QueueTarget, until: float) -> Link:
        tls = self._tls if target.encrypted else None

        def connect(until: float) -> BoundedSocket:
            try:
                return dial(target.host, target.port, guard=self._guard, until=until, tls=tls)
            except BlockedHost:
                raise QueueError(QueueFailure.BLOCKED_ADDRESS) from None
            except OSError as error:
                raise QueueError(QueueFailure.UNAVAILABLE, type(error).__name__) from error

        return (
            SqsLink(target, connect, until) if target.kind is QueueKind.SQS else AmqpLink(target, connect(until), until)
        )
