"""From when on a brand's events are kept: for the index as for who searches."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.brands.brand import Brand
from app.models.event import PUBLIC_KINDS, EventKind


def kept_since(brand: Brand, now: datetime) -> dict[EventKind, int]:
    """By kind, in milliseconds of recording."""
    return {
        kind: int((now - timedelta(days=days)).timestamp() * 1000)
        for kind, days in brand.retention.events
        if kind in PUBLIC_KINDS
    }
