"""A sealed field of a stored document, as a rotation of keys moves it from one of the brand's keys to another."""

from __future__ import annotations

from typing import Any, NamedTuple


class SealedField(NamedTuple):
    id: Any
    """The document's."""
    brand_id: str
    sealed: bytes
    key_number: int
    """Which of the brand's data keys seals it."""
    address_hash: str = ""
    """Whose it is, where it is a person's."""
