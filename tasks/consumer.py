"""Celery's consumer with one repair, without which a busy worker dies with every crash of Redis. Set by `config.celery`."""

from __future__ import annotations

from celery.worker.consumer import Consumer as CeleryConsumer


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery has no types
    """The part of a worker that talks to the broker."""

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """As Celery's, but tasks in work are not handed back over a connection that is lost.

        kombu 5.7 tries to when it closes the channel, fails on its own dismantled connection with an AttributeError that
        nobody expects, and Celery ends the worker ("Unrecoverable error"). What a worker held comes back by itself after
        the visibility timeout, and sooner from the journal and from MongoDB.
        """
        channel = getattr(self.task_consumer, "channel", None)
        if channel is not None:
            channel.do_restore = False
        super().on_connection_error_after_connected(exc)
