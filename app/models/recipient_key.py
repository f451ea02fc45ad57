"""A person's data key as it is stored: wrapped by a data key of the brand. Deleting it erases the person."""

from __future__ import annotations

from typing import Any, NamedTuple

KEY_ID_BYTES = 12


class RecipientKey(NamedTuple):
    """A NamedTuple because a request makes a thousand of them."""

    id: bytes
    """12 bytes, never used again; stands in front of everything sealed with the key."""
    brand_id: str
    address_hash: str
    """Whose key it is (`Message.address_hash`); one key for each brand and hash."""
    key_number: int
    """Which of the brand's data keys wraps it."""
    wrapped: bytes
    """63 bytes, sealed by the keyring for this brand and key id."""

    def __repr__(self) -> str:
        return f"RecipientKey(id={self.id.hex()}, brand_id={self.brand_id!r}, key_number={self.key_number})"


class HeldKeys(dict[tuple[str, bytes], Any]):
    """Persons' keys, ready for use, by (brand id, key id): for a call that opens and then seals. Made empty by it, and
    gone when it ends. Who is erased meanwhile is erased all the same: what a key sealed that is no longer stored never
    opens."""
