"""Celery's settings: one function for both sides of the broker. Names and routes are in `queues`, times in `beat`."""

from __future__ import annotations

from typing import Any

from kombu.entity import Exchange, Queue

from config.beat import beat_schedule
from config.queues import QUEUE_OF
from config.queues import Queue as QueueName
from config.settings import Settings

KEY_PREFIX = "telltale:q:"
"""Of everything that Celery keeps in Redis, so that one Redis may also hold numbers and cache."""

SOFT_LIMIT_SECONDS = 60
"""A task is one batch or one endpoint's turn and takes well below ten seconds; whatever takes a minute hangs."""
HARD_LIMIT_SECONDS = 75
"""For what does not hear the soft limit, such as a call inside a C library."""
VISIBILITY_SECONDS = 180
"""When Redis gives a task of a killed worker to another. More than twice the hard limit, so that no running task
is given out a second time; short, because until then a killed worker's tasks stand still."""

WEB_SOCKET_SECONDS = 0.3
"""How long somebody who publishes waits for one answer of Redis. On a connection that stalls, a publish waits for
three (measured), so `app.broker` promises a second."""


def celery_settings(settings: Settings, *, web: bool) -> dict[str, Any]:
    """What a Celery app is configured with.

    Args:
        web: for whoever only publishes and must not wait (`app.broker`, in every process); else for workers and beat.
    """
    return {
        "broker_url": settings.broker_url,
        **_messages(),
        **_connection(web=web),
        **_worker(),
        "beat_schedule": {} if web else beat_schedule(),
        # In memory: the longest period is a quarter of an hour and a restart costs one period at most. A schedule
        # file is a lock that two beats on one host fight for, and a power cut can leave it unreadable.
        "beat_scheduler": "celery.beat:Scheduler",
        # Beat answers a ping as long as its loop ticks: that is its health check.
        "beat_enable_remote_control": True,
        # How long beat may oversleep a change of clock.
        "beat_max_loop_interval": 2,
    }


def _messages() -> dict[str, Any]:
    return {
        # The anonymous exchange routes by the queue's name and needs no binding table in Redis: after FLUSHALL
        # running processes publish and consume as before.
        "task_queues": [_queue(name.value) for name in QueueName],
        "task_routes": {task.value: {"queue": queue.value} for task, queue in QUEUE_OF.items()},
        # A task without a route is a mistake: better an error at the caller than a queue that nobody reads.
        "task_create_missing_queues": False,
        "task_default_queue": QueueName.MAINTENANCE.value,
        "task_default_exchange": "",
        "task_default_routing_key": QueueName.MAINTENANCE.value,
        "task_serializer": "json",
        "accept_content": ["json"],
        # No task_compression: the one large argument, a sealed batch, was compressed before it was sealed.
        # Nobody reads results; what a task did stands in MongoDB.
        "task_ignore_result": True,
        "result_backend": None,
        "timezone": "UTC",
        "enable_utc": True,
    }


def _queue(name: str) -> Queue:
    return Queue(name, Exchange(""), routing_key=name)  # type: ignore[no-untyped-call]  # kombu is half typed


def _connection(*, web: bool) -> dict[str, Any]:
    # Both places are needed: the first is the producer's, the transport's own loop would otherwise wait by itself.
    # One immediate second try: after a restart of Redis the pooled connection is dead and only the next one works.
    fast_retry = {"max_retries": 1, "interval_start": 0, "interval_step": 0.05, "interval_max": 0.05}
    return {
        "broker_connection_retry_on_startup": True,
        # For ever: a worker must outlive any outage of the broker.
        "broker_connection_max_retries": None,
        "broker_connection_timeout": WEB_SOCKET_SECONDS if web else 4,
        # At least the threads of a process; a worker or uWSGI process publishes from one or two.
        "broker_pool_limit": 10,
        # Without it the eleventh publisher waits for ever.
        "broker_pool_acquire_timeout": WEB_SOCKET_SECONDS if web else 5.0,
        "task_publish_retry_policy": fast_retry,
        "broker_transport_options": {
            **fast_retry,
            "global_keyprefix": KEY_PREFIX,
            "visibility_timeout": VISIBILITY_SECONDS,
            # Look for abandoned tasks every 5 s; the default is every 100 s.
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_timeout": WEB_SOCKET_SECONDS if web else 10,
            "socket_connect_timeout": WEB_SOCKET_SECONDS if web else 2,
            "socket_keepalive": True,
            # Also bounds how long a half-open connection goes unnoticed by a worker: 10 s + twice this.
            "health_check_interval": 15,
        },
    }


def _worker() -> dict[str, Any]:
    return {
        "worker_consumer": "tasks.consumer:Consumer",
        # Acknowledged when done: a killed worker's task runs again. Every task may run twice.
        "task_acks_late": True,
        # As many tasks taken as can run: none waits in a busy worker while another is idle.
        "worker_prefetch_multiplier": 1,
        # A task whose child was killed counts as a retry, so a poisoned one ends; reject_on_worker_lost has no end.
        "task_retry_on_worker_lost": True,
        "task_soft_time_limit": SOFT_LIMIT_SECONDS,
        "task_time_limit": HARD_LIMIT_SECONDS,
        # Tasks that wait for their retry sit in the worker's memory; see the bound of waiting in tasks/base.py.
        "worker_eta_task_limit": 1000,
        # The default, said aloud: a task whose broker is lost runs to its end. It may then run again elsewhere, which
        # is harmless; to end it in the middle would mean webhooks that were sent and not noted.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # On QUIT: time to finish what runs. Stop grace of the supervisor must be longer.
        "worker_soft_shutdown_timeout": 20.0,
        "worker_enable_soft_shutdown_on_idle": True,
        # Against slow leaks; a child is cheap, and several thousand batches are hours.
        "worker_max_tasks_per_child": 5000,
        "worker_max_memory_per_child": 400_000,  # KiB
        # Off here; `-E` on the command line of a worker turns it on for Flower. Never for ingest: one event per task.
        "worker_send_task_events": False,
        "task_send_sent_event": False,
        # config/logging.py owns all output.
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_log_color": False,
    }
