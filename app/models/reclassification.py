"""How far a run of the rules of now over stored events came (`app.ingest.reclassify`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """Of one brand."""

    brand_id: str
    rules_version: str
    since_ms: int
    run: str
    """A random name; the same when a stopped run goes on."""
    after: tuple[int, bytes] | None = None
    """Recorded milliseconds and id of the last event looked at."""
    events: int = 0
    corrected: int = 0
