"""Which email addresses and phone numbers we take. Their normal form and hash are `app.privacy`'s matter."""

from __future__ import annotations

import re
import unicodedata

from app.lib.http_url import normalise_domain
from app.models.block import Channel

MAX_EMAIL_LENGTH = 254
"""RFC 5321 section 4.5.3.1.3 minus the angle brackets (RFC 3696 erratum 1690)."""
_MAX_LOCAL_BYTES = 64
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+", re.ASCII)
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


def check_address(channel: Channel, text: str) -> None:
    """Raise unless `text` is an address of the channel.

    Raises:
        ValueError: one sentence for a person, without the address.
    """
    if channel is Channel.EMAIL:
        _check_email(text)
    elif not _PHONE.fullmatch(text):
        raise ValueError("must be a phone number in E.164 form: + and 7 to 15 digits")


def _check_email(text: str) -> None:
    """RFC 5321 mailboxes without the forms that no mailbox provider gives out: quoted local parts, address literals.

    Letters outside ASCII are taken (RFC 6531).
    """
    local, at, domain = text.rpartition("@")
    if not at or len(text) > MAX_EMAIL_LENGTH:
        raise ValueError("must be an email address")
    if len(local.encode()) > _MAX_LOCAL_BYTES or not all(_is_atom(atom) for atom in local.split(".")):
        raise ValueError("must be an email address; the part before the @ is not valid")
    try:
        name = normalise_domain(domain)
    except ValueError as error:
        raise ValueError("must be an email address; the domain is not valid") from error
    if "." not in name or "_" in name or domain.endswith("."):
        raise ValueError("must be an email address; the domain is not valid")


def _is_atom(text: str) -> bool:
    # A letter with its marks, or a digit, in any script; never a space, a control or a format character.
    if text.isascii():
        return _ATOM.fullmatch(text) is not None
    plain = "".join("a" if not char.isascii() and unicodedata.category(char)[0] in "LMN" else char for char in text)
    return _ATOM.fullmatch(plain) is not None
