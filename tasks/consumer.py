"""Celery's consumer with one repair, without which a busy worker dies when Redis does. Set by `config.celery`."""

from __future__ import annotations

from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery has no types
    """The part of a worker that talks to the broker."""

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """As Celery's, but nothing is handed back or acknowledged any more over the connection that is lost.

        kombu 5.7 tries both on the connection it has just dismantled: when it closes the channel, and when a task ends
        that was running. Each ends in an AttributeError that nobody expects, and with it the worker ("Unrecoverable
        error"). What a worker held comes back after the visibility timeout, and sooner from the journal and MongoDB.
        """
        channel = getattr(self.task_consumer, "channel", None)
        if channel is not None:
            channel.do_restore = False
            channel.qos.ack = channel.qos.reject = _too_late
        super().on_connection_error_after_connected(exc)


def _too_late(*_: Any, **__: Any) -> None:
    """In place of `ack(tag)` and `reject(tag, requeue)`."""
