"""`python -m app.shipper`: runs until SIGTERM; one per host, a second one waits for the first to end."""

from __future__ import annotations

import base64
import fcntl
import json
import logging
import signal
import time
from pathlib import Path
from types import FrameType

import zstandard

from app.lib import clock
from app.lib.log import log_event
from app.services import Services, build_services
from app.shipper.ship import Shipper, Status
from config.logging import setup_logging
from config.queues import Queue, TaskName
from config.sentry import setup_sentry
from config.settings import load_settings

_IDLE_SECONDS = 0.02
_STATUS_SECONDS = 0.5

_log = logging.getLogger("telltale.shipper")


def main() -> None:
    settings = load_settings()
    setup_logging(settings)
    setup_sentry(settings)
    services = build_services(settings, role="shipper")
    stop: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.append(number)

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    folder = settings.shipper_dir
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as lock:
        while not stop:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.2)
        shipper = _shipper(services, folder)
        status_at = 0.0
        while not stop:
            moved = shipper.step()
            if time.monotonic() >= status_at:
                status_at = time.monotonic() + _STATUS_SECONDS
                _write_status(folder / "status.json", shipper.status())
            if not moved:
                time.sleep(_IDLE_SECONDS)


def _shipper(services: Services, folder: Path) -> Shipper:
    settings = services.settings
    compressor = zstandard.ZstdCompressor(level=1)

    def ship(batch_id: str, lines: bytes) -> None:
        # Sealed: records hold client addresses, and whoever can read the broker need not see them.
        sealed = services.keyring.seal_batch(compressor.compress(lines), "journal")
        services.broker.enqueue(TaskName.INGEST_BATCH, batch_id, base64.b64encode(sealed).decode("ascii"))

    return Shipper(
        settings.journal_dir,
        folder / "cursor.json",
        host=settings.host_name,
        ship=ship,
        marked=services.batches.marked,
        queue_depth=lambda: services.broker.depths().get(Queue.INGEST, 0),
        max_records=settings.batch_max_records,
        max_wait_seconds=settings.batch_max_wait_seconds,
        reship_after_seconds=settings.reship_after_seconds,
    )


def _write_status(path: Path, status: Status) -> None:
    """For readiness, metrics and the beat job: how far behind we are, and when we last said so."""
    fields = {name: getattr(status, name) for name in Status.__slots__}
    temporary = path.with_suffix(".new")
    try:
        temporary.write_text(json.dumps({"at": clock.now_ms() / 1000, **fields}), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        log_event(_log, logging.WARNING, "status_not_written", error=type(error).__name__)


if __name__ == "__main__":
    main()
