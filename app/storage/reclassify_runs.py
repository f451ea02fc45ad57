"""How far `flask events reclassify` came with each brand: a document in `counters`, gone when a run is done."""

from __future__ import annotations

from bson import Int64
from pymongo.database import Database

from app.models.reclassification import Progress
from app.storage.client import Document, translated


class ReclassifyRuns:
    def __init__(self, database: Database[Document]) -> None:
        self._runs = database["counters"]

    def load(self, brand_id: str) -> Progress | None:
        """How far the run of a brand came that was stopped."""
        with translated():
            row = self._runs.find_one({"_id": _name(brand_id)})
        if row is None:
            return None
        return Progress(
            brand_id,
            row["rules_version"],
            int(row["since_ms"]),
            row["run"],
            None if row["after"] is None else (int(row["after"][0]), bytes(row["after"][1])),
            row["events"],
            row["corrected"],
        )

    def save(self, progress: Progress) -> None:
        after = progress.after
        row = {
            "rules_version": progress.rules_version,
            "since_ms": Int64(progress.since_ms),
            "run": progress.run,
            "after": None if after is None else [Int64(after[0]), after[1]],
            "events": progress.events,
            "corrected": progress.corrected,
        }
        with translated():
            self._runs.replace_one({"_id": _name(progress.brand_id)}, row, upsert=True)

    def forget(self, brand_id: str) -> None:
        with translated():
            self._runs.delete_one({"_id": _name(brand_id)})


def _name(brand_id: str) -> str:
    return f"reclassify:{brand_id}"
