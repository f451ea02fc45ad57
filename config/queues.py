"""All task and queue names, and which queue carries which task. Nothing else may spell them."""

from __future__ import annotations

from enum import StrEnum


class Queue(StrEnum):
    """One queue per stage, so that a stage that is behind never blocks another."""

    INGEST = "ingest"
    WEBHOOKS = "webhooks"
    MAINTENANCE = "maintenance"
    ARCHIVE = "archive"
    SEARCH = "search"


class TaskName(StrEnum):
    INGEST_BATCH = "ingest.batch"
    DELIVER_ENDPOINT = "webhooks.deliver_endpoint"
    WAKE_DUE_ENDPOINTS = "webhooks.wake_due_endpoints"
    REPLAY = "webhooks.replay"
    ARCHIVE_HOUR = "archive.hour"
    INDEX_EVENTS = "search.index_events"
    CHECK_JOURNAL = "maintenance.check_journal"
    CHECK_NUMBERS = "maintenance.check_numbers"
    COMPACT_COUNTS = "maintenance.compact_counts"
    EXPIRE_DATA = "maintenance.expire_data"


QUEUE_OF: dict[TaskName, Queue] = {
    TaskName.INGEST_BATCH: Queue.INGEST,
    TaskName.DELIVER_ENDPOINT: Queue.WEBHOOKS,
    TaskName.WAKE_DUE_ENDPOINTS: Queue.WEBHOOKS,
    TaskName.REPLAY: Queue.MAINTENANCE,
    TaskName.ARCHIVE_HOUR: Queue.ARCHIVE,
    TaskName.INDEX_EVENTS: Queue.SEARCH,
    TaskName.CHECK_JOURNAL: Queue.MAINTENANCE,
    TaskName.CHECK_NUMBERS: Queue.MAINTENANCE,
    TaskName.COMPACT_COUNTS: Queue.MAINTENANCE,
    TaskName.EXPIRE_DATA: Queue.MAINTENANCE,
}
