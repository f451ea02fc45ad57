"""What the shipper of this host last said about itself in `status.json`, for readiness, metrics and beat."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from app.lib import clock

STALE_SECONDS = 10.0
"""The shipper writes twice a second; twenty times missed is not jitter."""
LAG_SECONDS = 30.0
"""In normal work a record is in MongoDB within a second; a batch is shipped again after twenty."""
_MAX_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class ShipperStatus:
    age_seconds: float
    """Since it was written."""
    behind_bytes: int
    oldest_unshipped_seconds: float
    in_flight: int
    segments: int
    reshipped: int

    def fault(self) -> str | None:
        """What is wrong, for a person; None when nothing is."""
        if self.age_seconds > STALE_SECONDS:
            return f"has not reported for {self.age_seconds:.0f} s"
        if self.oldest_unshipped_seconds > LAG_SECONDS:
            return f"is {self.oldest_unshipped_seconds:.0f} s behind"
        return None


def read_shipper_status(folder: Path) -> ShipperStatus | None:
    """The status in the shipper's folder; None when no shipper ever wrote one here.

    Raises:
        ValueError: the file is not what a shipper writes.
        OSError: it is there and cannot be read.
    """
    try:
        with (folder / "status.json").open("rb") as file:
            text = file.read(_MAX_BYTES)
    except FileNotFoundError:
        return None
    try:
        said = json.loads(text)
        return ShipperStatus(
            age_seconds=max(0.0, clock.now_ms() / 1000 - float(said["at"])),
            behind_bytes=int(said["behind_bytes"]),
            oldest_unshipped_seconds=float(said["oldest_unshipped_seconds"]),
            in_flight=int(said["in_flight"]),
            segments=int(said["segments"]),
            reshipped=int(said["reshipped"]),
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("the shipper's status has another shape") from error
