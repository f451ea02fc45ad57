"""Which message, and whose, a sealed token speaks of: keyed hashes, because it brings no number of ours."""

from __future__ import annotations

from app.privacy.hashes import normalise_address
from app.privacy.keyring import Keyring
from app.tracking.tokens import TokenContent, message_identity


class TokenMessages:
    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def message_hash(self, brand_id: str, content: TokenContent) -> bytes:
        """32 bytes, equal for the tokens of one message, whichever key sealed them.

        Raises:
            StoreUnavailable: the brand's index key is not cached and cannot be read.
        """
        return self._keyring.keyed_hash(brand_id, b"message" + message_identity(content, normalise_address))

    def person_hash(self, brand_id: str, content: TokenContent) -> str:
        """The address's hash; a token without one stands for somebody who is known by the contact id or message only.

        Raises:
            StoreUnavailable: as `message_hash`.
        """
        if content.address:
            return self._keyring.address_hash(brand_id, content.channel, content.address)
        if content.contact_id:
            return self._keyring.keyed_hash(brand_id, b"contact" + content.contact_id.encode()).hex()
        return self.message_hash(brand_id, content).hex()
