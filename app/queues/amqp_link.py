"""One connection to an AMQP 0-9-1 broker (RabbitMQ), and publishing over it with confirms.

With py-amqp, kombu's own client, and without kombu around it: kombu waits for each message's confirm before it sends
the next, gives no way to dial a vetted address, and reads frames as long as the broker says they are.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from amqp import Connection, Message, exceptions, spec  # type: ignore[import-untyped]  # publishes no types
from amqp.transport import AMQP_PROTOCOL_HEADER, TCPTransport  # type: ignore[import-untyped]  # as above

from app.lib.bounded_socket import BoundedSocket
from app.lib.queue_url import QueueTarget
from app.queues.message import CONTENT_TYPE, Published, QueueError, QueueFailure, QueueMessage, attributes

_WINDOW_MESSAGES = 200
_WINDOW_BYTES = 1_048_576
"""Sent before their confirms are read: what a broker gives back unrouted must fit into the buffers between us."""
_WRITE_BYTES = 65_536
"""Collected before they are sent: a call of the system for each message would cost more than the message."""
_FRAME_BYTES = 131_072
_LEAST_FRAME_BYTES = 4096
_TALK_BYTES = 262_144
"""What a broker may send on top of giving back what it got."""
_GOODBYE_SECONDS = 0.1
_PERSISTENT = 2

_FAILURES = (
    (exceptions.NotFound, QueueFailure.MISSING),
    (exceptions.AccessRefused, QueueFailure.DENIED),
    (exceptions.NotAllowed, QueueFailure.DENIED),  # a virtual host that is not there, or not this user's
    (exceptions.PreconditionFailed, QueueFailure.REFUSED),  # larger than the broker takes
)


class AmqpLink:
    """Logged in, with one channel in confirm mode. For one thread at a time.

    Raises:
        QueueError: the broker does not let us in.
    """

    def __init__(self, target: QueueTarget, connected: BoundedSocket, until: float) -> None:
        self.socket = connected
        self.usable = True
        self._target = target
        self._tag = 0
        self._waiting: dict[int, str] = {}
        self._confirmed: set[str] = set()
        self._returned: set[str] = set()
        self._nacked = False
        connected.allow(until, _TALK_BYTES)
        try:
            self._connection = _BoundedConnection(target, connected)
            self._connection.connect()
            self._channel = self._connection.channel()
            self._channel.confirm_select()
        except Exception as error:  # a stranger's bytes: what py-amqp raises on nonsense is no closed set
            connected.close()
            raise _translated(error) from error
        self._channel.events["basic_ack"].add(self._on_ack)
        self._channel.events["basic_nack"].add(self._on_nack)
        self._channel.events["basic_return"].add(self._on_return)

    def publish(self, messages: Sequence[QueueMessage], until: float) -> Published:
        """Send all of them, and wait for what the broker says to each."""
        self._confirmed, self._returned, self._nacked = set(), set(), False
        self.socket.allow(until, _TALK_BYTES + 2 * sum(len(message.body) + 4096 for message in messages))
        try:
            for window in _windows(messages):
                for message in window:
                    self._send(message)
                while self._waiting:
                    self._connection.drain_events()
        except Exception as error:  # noqa: BLE001 - as above
            self.usable = False
            failed = _translated(error)
            return Published(frozenset(self._confirmed), failed.failure, detail=str(failed))
        failure = QueueFailure.MISSING if self._returned else QueueFailure.REFUSED if self._nacked else None
        return Published(frozenset(self._confirmed), failure)

    def close(self) -> None:
        """Say goodbye: the broker's owner would see a warning for each connection that just breaks off."""
        self.socket.allow(time.monotonic() + _GOODBYE_SECONDS, _TALK_BYTES)
        with suppress(Exception):  # the connection is closed in any case
            self._connection.close()
        self.socket.close()

    def _send(self, message: QueueMessage) -> None:
        content = Message(
            message.body,
            content_type=CONTENT_TYPE,
            delivery_mode=_PERSISTENT,
            message_id=message.id,
            timestamp=message.timestamp,
            type=message.event_type,
            app_id="telltale",
            application_headers=attributes(message),
        )
        routing_key = self._target.routing_key or message.event_type
        self._tag += 1
        self._waiting[self._tag] = message.id
        # Not `basic_publish`: before each message it looks for complaints, and would wait for the next one.
        self._channel.send_method(
            spec.Basic.Publish, "Bssbb", (0, self._target.exchange, routing_key, True, False), content
        )

    def _settled(self, tag: int, multiple: bool) -> Iterator[str]:
        tags = [one for one in self._waiting if one <= tag] if multiple else [tag]
        for one in tags:
            yield self._waiting.pop(one)

    def _on_ack(self, tag: int, multiple: bool) -> None:
        # What is returned is acknowledged too, afterwards.
        self._confirmed.update(one for one in self._settled(tag, multiple) if one not in self._returned)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        self._nacked = any([True for _ in self._settled(tag, multiple)]) or self._nacked

    def _on_return(self, error: Exception, exchange: str, routing_key: str, message: Any) -> None:
        self._returned.add(message.properties["message_id"])


class _BoundedConnection(Connection):  # type: ignore[misc]  # untyped
    def __init__(self, target: QueueTarget, connected: BoundedSocket) -> None:
        super().__init__(
            # Shown in its repr; the dialling is done.
            host=target.host,
            userid=target.user,
            password=target.password,
            login_method="PLAIN",
            virtual_host=target.virtual_host,
            on_blocked=_on_blocked,
        )
        self._connected = connected

    def Transport(self, *_: object, **__: object) -> _BoundedTransport:  # noqa: N802 - py-amqp's name
        return _BoundedTransport(self._connected)

    def _on_tune(self, channel_max: int, frame_max: int, server_heartbeat: int, **options: Any) -> None:
        # The broker may ask for smaller frames, not for a buffer of 2 GiB or for a frame per byte.
        frame = min(frame_max or _FRAME_BYTES, _FRAME_BYTES)
        super()._on_tune(channel_max, max(frame, _LEAST_FRAME_BYTES), server_heartbeat, **options)


class _BoundedTransport(TCPTransport):  # type: ignore[misc]  # untyped
    """py-amqp's reader and writer of frames on a socket that is connected already."""

    def __init__(self, connected: BoundedSocket) -> None:
        super().__init__(connected.address)
        self._connected = connected
        self._come = b""
        self._going = bytearray()

    def _connect(self, *_: object) -> None:
        self.sock = self._connected.raw

    def _init_socket(self, *_: object) -> None:
        self._write(AMQP_PROTOCOL_HEADER)

    @contextmanager
    def having_timeout(self, timeout: float | None) -> Iterator[Any]:
        yield self.sock  # the time that is left is set at every call below

    def _read(self, n: int, initial: bool = False) -> bytes:
        self._flush()
        if n > _FRAME_BYTES:
            raise exceptions.UnexpectedFrame("longer than agreed")
        while len(self._come) < n:
            piece = self._connected.receive(65_536)
            if not piece:
                raise ConnectionResetError("closed by the broker")
            self._come += piece
        result, self._come = self._come[:n], self._come[n:]
        return result

    def _write(self, s: bytes) -> None:
        self._going += s
        if len(self._going) >= _WRITE_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._going:
            going, self._going = self._going, bytearray()
            self._connected.sendall(going)

    def close(self) -> None:
        self._connected.close()
        self.connected = False


def _on_blocked(reason: str) -> None:
    # Out of memory or disk: it reads nothing more from us, for as long as that lasts.
    raise QueueError(QueueFailure.UNAVAILABLE, "connection.blocked")


def _windows(messages: Sequence[QueueMessage]) -> Iterator[list[QueueMessage]]:
    window: list[QueueMessage] = []
    size = 0
    for message in messages:
        if window and (len(window) == _WINDOW_MESSAGES or size + len(message.body) > _WINDOW_BYTES):
            yield window
            window, size = [], 0
        window.append(message)
        size += len(message.body)
    if window:
        yield window


def _translated(error: Exception) -> QueueError:
    if isinstance(error, QueueError):
        return error
    for kind, failure in _FAILURES:
        if isinstance(error, kind):
            return QueueError(failure, type(error).__name__)
    return QueueError(QueueFailure.UNAVAILABLE, type(error).__name__)
