"""One form for each address, and its keyed hash: how a person is found again without storing who it is."""

from __future__ import annotations

import hmac
import unicodedata

from app.lib.http_url import normalise_domain
from app.models.block import Channel


def normalise_address(channel: Channel, address: str) -> str:
    """The form under which an address is hashed; normalising it again changes nothing.

    Email: NFKC, trimmed, domain in lower case as A-labels, and the local part in lower case too. RFC 5321 lets a
    mail system tell `Ann@` from `ann@`, but practically none does, and a person who unsubscribed as one must not be
    written to as the other. Dots and +tags are kept: whether they matter differs from one mail system to the next.

    SMS: digits only, behind a `+` if there was one (E.164). No country is guessed.

    Raises:
        ValueError: nothing is left to hash. The address is not quoted.
    """
    text = unicodedata.normalize("NFKC", address).strip()
    form = _email(text) if channel is Channel.EMAIL else _phone(text)
    if not form:
        raise ValueError("the address is empty")
    return form


def address_hash(index_key: bytes, channel: Channel, address: str) -> str:
    """Hex of HMAC-SHA256 of the normalised address under a brand's index key: 64 characters.

    A plain hash would be guessable (all phone numbers can be tried), and equal across brands.

    Raises:
        ValueError: the address is empty.
    """
    form = normalise_address(channel, address)
    return hmac.digest(index_key, form.encode("utf-8", "surrogatepass"), "sha256").hex()


def _email(text: str) -> str:
    local, at, domain = text.rpartition("@")
    try:
        domain = normalise_domain(domain)
    except ValueError:
        # Not a domain anybody can write to, but a stored address must always find itself again.
        domain = _lower(domain)
    return f"{_lower(local)}{at}{domain}"


def _lower(text: str) -> str:
    """Lower case that stays the same when lowered and NFKC-normalised again (`İ` and friends need the second round)."""
    for _ in range(3):
        lowered = unicodedata.normalize("NFKC", text.lower())
        if lowered == text:
            break
        text = lowered
    return text


def _phone(text: str) -> str:
    digits = "".join(str(value) for char in text if (value := unicodedata.decimal(char, None)) is not None)
    return f"+{digits}" if digits and text.startswith("+") else digits
