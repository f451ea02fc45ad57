"""What a busy index raises; apart from its client, which only those load that talk to it."""

from __future__ import annotations

from app.errors import StoreUnavailable


class SearchBusy(StoreUnavailable):
    """OpenSearch asks for fewer requests: it is up, and behind."""
