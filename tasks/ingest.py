"""One task takes one batch of journal lines through ingest and wakes the endpoints that have work now."""

from __future__ import annotations

import base64
import logging

import zstandard

from app.ingest.pipeline import Batch
from app.lib.log import DEBUG, log_event
from config.queues import TaskName
from tasks.base import services, task

_log = logging.getLogger("telltale.ingest")
_MAX_BATCH_BYTES = 64 * 1024 * 1024


@task(TaskName.INGEST_BATCH)
def ingest_batch(batch_id: str, payload: str) -> None:
    """Args:
    batch_id: made by the shipper from host, segment and offsets.
    payload: base64 of the sealed, zstd-compressed journal lines; never in the clear on the broker.
    """
    sealed = base64.b64decode(payload)
    compressed = services().keyring.open_batch(sealed, "journal")
    lines = zstandard.decompress(compressed, max_output_size=_MAX_BATCH_BYTES)
    batch = services().ingest.run(batch_id, lines)
    services().wake(batch.endpoints)
    _log_batch(batch)


def _log_batch(batch: Batch) -> None:
    microseconds = {f"us_{step}": int(seconds * 1e6) for step, seconds in batch.seconds.items()}
    dropped = {f"dropped_{reason}": number for reason, number in batch.dropped.items()}
    log_event(
        _log,
        DEBUG,
        "batch_stored",
        batch=batch.id,
        records=len(batch.lines),
        events=len(batch.events),
        **dropped,
        **microseconds,
    )
