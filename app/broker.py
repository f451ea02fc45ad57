"""The only Celery client inside `app`: enqueues a task by name and never makes its caller wait long.

What the tasks do is in `tasks`, settings of the connection in `config.celery`.
"""

from __future__ import annotations

import time
from typing import Any

from celery import Celery
from celery.exceptions import CeleryError
from kombu.connection import Connection
from kombu.exceptions import KombuError

from app.errors import BrokerUnavailable
from config.celery import WEB_SOCKET_SECONDS, celery_settings
from config.queues import TaskName
from config.settings import Settings

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]

BREAK_SECONDS = 1.0
"""After a failure nobody tries for this long: each try costs up to a second, and they would add up."""
HIDDEN = "<hidden>"
"""Stands in for the arguments in message headers, events and Flower."""


class Broker:
    """Publishes tasks. One per process, made after any fork; threads may share it."""

    def __init__(self, settings: Settings) -> None:
        # Not the current app: in a worker that is `tasks.celery_app`, with a worker's patience.
        self._app = Celery("telltale", set_as_current=False, changes=celery_settings(settings, web=True))
        self._closed_until = 0.0
        transport = self._app.connection_for_write().transport
        failures = {KombuError, CeleryError, OSError, *transport.connection_errors, *transport.channel_errors}
        # kombu counts KeyError among them for its consumers' sake; here it would be a mistake of ours.
        self._errors: tuple[type[Exception], ...] = tuple(failures - {KeyError})

    def enqueue(self, task: TaskName, *args: JSON) -> None:
        """Put a task into its queue.

        Args:
            args: ids, numbers and sealed text only; they are readable for whoever reads the broker.

        Raises:
            BrokerUnavailable: within about a second. The task may have been queued all the same, and a task that
                was queued may have been queued twice: every task is idempotent.
        """
        if time.monotonic() < self._closed_until:
            raise BrokerUnavailable("the broker failed a moment ago")
        try:
            self._app.send_task(task.value, args=args, argsrepr=HIDDEN, kwargsrepr=HIDDEN)
        except self._errors as error:
            self._closed_until = time.monotonic() + BREAK_SECONDS
            raise BrokerUnavailable(type(error).__name__) from error

    def depths(self) -> dict[str, int]:
        """How many tasks wait in each queue; on Redis also how many workers hold or wait to retry, under `held`.

        Raises:
            BrokerUnavailable: within about a second.
        """
        try:
            with self._app.pool.acquire(block=True, timeout=WEB_SOCKET_SECONDS) as connection:
                try:
                    return self._count(connection)
                except self._errors:
                    # A kept connection may be dead since the last time; it connects anew when it is used again.
                    return self._count(connection)
        except self._errors as error:
            raise BrokerUnavailable(type(error).__name__) from error

    def _count(self, connection: Connection) -> dict[str, int]:
        # The default channel keeps to the transport's few retries; others wait two seconds before the second.
        channel: Any = connection.default_channel  # what kombu declares lacks what the transport adds
        depths = {queue.name: _depth(channel, queue.name) for queue in self._app.amqp.queues.values()}
        if connection.transport.driver_type == "redis":
            depths["held"] = int(channel.client.hlen(channel.unacked_key))
        return depths


def _depth(channel: Any, queue: str) -> int:
    """Asked through kombu, which knows its key prefix and its list per priority.

    By declaring: on Redis an empty queue does not exist, and asking passively looks for it without the prefix.
    """
    return int(channel.queue_declare(queue, durable=True, auto_delete=False).message_count)
