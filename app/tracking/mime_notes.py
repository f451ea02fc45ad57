"""Why a message or a part of it stays as it is. The linter shows these notes to the message's author."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class MimeNote(StrEnum):
    """A closed set; details say more, and never quote the message."""

    # The whole message stays as it is.
    MESSAGE_TOO_LARGE = "message_too_large"
    HEADER_BROKEN = "header_broken"  # these two: our own headers cannot be set either
    MIME_BROKEN = "mime_broken"
    TOO_MANY_PARTS = "too_many_parts"
    TOO_DEEP = "too_deep"
    # A part stays as it is.
    ATTACHMENT = "attachment"
    AMP = "amp"
    SIGNED_OR_ENCRYPTED = "signed_or_encrypted"
    PGP_INLINE = "pgp_inline"
    PART_UNREADABLE = "part_unreadable"
    ENCODING_UNKNOWN = "encoding_unknown"
    ENCODING_BROKEN = "encoding_broken"
    CHARSET_UNKNOWN = "charset_unknown"
    CHARSET_NOT_REVERSIBLE = "charset_not_reversible"
    FLOWED_DELSP = "flowed_delsp"
    # Only said.
    CLOSING_BOUNDARY_MISSING = "closing_boundary_missing"
    DKIM_SIGNATURE_WILL_BREAK = "dkim_signature_will_break"


Notes = Callable[[str, str], None]


class LeftAlone(Exception):
    """There is no single, reversible reading. Never leaves `plan_mime`, which makes a note of it."""

    def __init__(self, note: MimeNote, detail: str) -> None:
        super().__init__(detail)
        self.note = note
        self.detail = detail
