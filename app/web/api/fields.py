"""Text types that every schema shares. Each refuses control characters: it may reach a header, a URL or a log line."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from app.lib import clock

# C0, DEL, C1 (CR, LF and NUL are in here), line and paragraph separators, and what turns text around on a screen.
_REFUSED = r"\x00-\x1F\x7F-\x9F\u2028\u2029\u202A-\u202E\u2066-\u2069"
_PLAIN = rf"^[^{_REFUSED}]*$"
_METADATA_KEY = rf"^[^{_REFUSED}$.][^{_REFUSED}.]*$"
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
_MAX_AHEAD = timedelta(minutes=5)

MAX_METADATA_BYTES = 2048
MAX_METADATA_KEY = 64


class Schema(BaseModel):
    """Base of everything that a caller sends: no coercion, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Answer(BaseModel):
    """Base of what we send. Answers are plain dictionaries, these classes describe them, tests hold both together."""

    model_config = ConfigDict(extra="forbid")


def plain_text(*, most: int) -> StringConstraints:
    """One line of text, 1 to `most` characters."""
    return StringConstraints(min_length=1, max_length=most, pattern=_PLAIN)


ChannelName = Literal["email", "sms"]
Reference = Annotated[str, plain_text(most=128)]
"""An id or a name that the brand gave something."""
Name = Annotated[str, plain_text(most=200)]
Address = Annotated[str, plain_text(most=254)]
Url = Annotated[str, plain_text(most=2048)]
EndpointId = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
"""As our ids are spelt: whatever else somebody asks for must not reach a query, which a slow store would log."""
MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=MAX_METADATA_KEY, pattern=_METADATA_KEY)]
MetadataValue = Annotated[str, StringConstraints(max_length=MAX_METADATA_BYTES, pattern=_PLAIN)]
Metadata = dict[MetadataKey, MetadataValue]
ValueName = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
"""As it stands between the braces of `{{ name }}`."""


def _moment(text: str) -> str:
    parse_moment(text)
    return text


def parse_moment(text: str) -> datetime:
    """An RFC 3339 time, at most five minutes ahead of this machine's clock.

    Raises:
        ValueError: one sentence, without the text.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError("must be an RFC 3339 time with an offset, as 2026-01-01T00:00:00Z")
    try:
        moment = datetime.fromisoformat(text.upper())
        if moment > clock.now() + _MAX_AHEAD:
            raise ValueError("must not be more than 5 minutes in the future")
        if moment < datetime.fromtimestamp(0, moment.tzinfo):
            raise ValueError("must not be before 1970")
    except OverflowError as error:
        raise ValueError("must be a time that exists") from error
    return moment


Moment = Annotated[str, StringConstraints(max_length=40), AfterValidator(_moment)]


def metadata_bytes(*parts: dict[str, str]) -> int:
    """What metadata counts against `MAX_METADATA_BYTES`: keys and values in UTF-8; later parts replace earlier ones."""
    merged: dict[str, str] = {}
    for part in parts:
        merged |= part
    return sum(len(key.encode()) + len(value.encode()) for key, value in merged.items())
