"""A suppression as it crosses rooms. Stored by `app.storage.suppressions`, made by `app.messages` and `app.web.api`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

WHOLE_BRAND = "*"
"""As the list of a suppression: everything of the brand."""


@dataclass(frozen=True, slots=True)
class Suppression:
    list_id: str
    """`*` is the whole brand."""
    reason: str
    at: datetime
