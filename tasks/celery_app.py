"""The Celery app of workers, beat and Flower: `celery -A tasks.celery_app worker|beat|flower`."""

from __future__ import annotations

import gc
from typing import Any

from celery import Celery, signals

from app.ingest.user_agents import warm_up
from config.celery import celery_settings
from config.logging import setup_logging
from config.queues import Queue
from config.sentry import setup_sentry
from config.settings import load_settings
from tasks.base import TelltaleTask, services

settings = load_settings()

app = Celery(
    "telltale",
    changes=celery_settings(settings, web=False),
    # Whatever way a task is declared, it keeps to the rules of tasks/base.py.
    task_cls=TelltaleTask,
    include=["tasks.ingest", "tasks.webhooks", "tasks.replays", "tasks.archive", "tasks.maintenance", "tasks.search"],
)


@signals.setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    """Having a receiver of this signal is what keeps Celery's own handlers away."""
    setup_logging(settings)


@signals.worker_process_init.connect
def _start_process(**_: Any) -> None:
    """In each child after its fork. Services are made now, so that a wrong configuration shows at the start."""
    setup_sentry(settings)
    found = services()
    if Queue.INGEST in app.amqp.queues.consume_from:
        # The first batch does not wait for the lists of machines and networks, and one that cannot be used shows now.
        warm_up()
        found.networks.look_up()
    # A batch makes thousands of objects that live until its end and none in cycles; looking for cycles among them every
    # 700 objects, as Python does by default, was a tenth of ingest's processor time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
