"""What a sealed token says, and the one way to write it as bytes. `tokens` seals them; docs/tokens.md is the format.

Every field is `tag (1 byte), length (varint), value`, tags ascending, none twice, empty fields left out. Whatever
`decode` understands is written again and must come out as the same bytes: so one content has exactly one encoding, and
none of the rules stands here twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from app.lib.http_url import check_destination
from app.models.block import Channel

MAX_TEXT_BYTES = 128
"""Of a reference or an id, in UTF-8."""
MAX_ADDRESS_BYTES = 254
MAX_DESTINATION_BYTES = 1024
MAX_METADATA_FIELDS = 16
MAX_METADATA_KEY_BYTES = 64
MAX_METADATA_VALUE_BYTES = 256
MAX_CONTENT_BYTES = 1031
"""So that a token has at most 1,400 characters: links beyond 2,000 break in old mail clients and in Outlook."""

_EMAIL_TAG, _PHONE_TAG, _SMS_TAG = 2, 3, 4
_HTTPS_TAG, _URL_TAG, _METADATA_TAG = 9, 10, 11
_TEXT_TAGS = {1: "reference", 5: "contact_id", 6: "campaign_id", 7: "list_id", 8: "job_source"}
_HTTPS = "https://"
# What no field of the API takes either: controls, line separators, and what turns text around on a screen.
_REFUSED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


class TokenPurpose(StrEnum):
    """What a token may be used for; one letter, as in the path (`p` is the query field of a pixel)."""

    OPEN = "o"
    CLICK = "c"
    UNSUBSCRIBE = "u"
    FIELDS = "p"


class ContentRefused(ValueError):
    """A token cannot say this. The text is one sentence for a person and never quotes a value.

    Args:
        name: the field of `TokenContent` at fault; empty when it is the content as a whole.
    """

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(detail)
        self.field = name


@dataclass(frozen=True, slots=True)
class TokenContent:
    """What a brand wants to hear back when the link is used."""

    reference: str | None = field(default=None, repr=False)
    """The brand's own name of this message to this recipient."""
    address: str | None = field(default=None, repr=False)
    """An email address, or a phone number in E.164 form, as the channel says."""
    channel: Channel = Channel.EMAIL
    contact_id: str | None = field(default=None, repr=False)
    campaign_id: str | None = None
    list_id: str | None = None
    job_source: str | None = None
    destination: str | None = field(default=None, repr=False)
    """Where a click leads, exactly as its author wrote it. Clicks have one, nothing else has."""
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)


def encode(purpose: TokenPurpose, content: TokenContent) -> bytes:
    """The content as bytes.

    Raises:
        ContentRefused: a field is missing, does not belong to the purpose, is not valid or too long.
    """
    parts: list[bytes] = []
    _add(parts, 1, "reference", content.reference, MAX_TEXT_BYTES)
    _add_address(parts, content)
    for tag in (5, 6, 7, 8):
        name = _TEXT_TAGS[tag]
        _add(parts, tag, name, getattr(content, name), MAX_TEXT_BYTES)
    _add_destination(parts, purpose, content.destination)
    if content.metadata:
        parts.append(_tagged(_METADATA_TAG, _metadata_bytes(content.metadata)))
    if purpose is TokenPurpose.FIELDS:
        if not parts:
            raise ContentRefused("", "must have at least one field")
    elif content.reference is None and content.address is None:
        # Without either, everybody's hits would be those of one message.
        raise ContentRefused("reference", "must be given, or an address")
    raw = b"".join(parts)
    if len(raw) > MAX_CONTENT_BYTES:
        raise ContentRefused("", f"must not be longer than {MAX_CONTENT_BYTES} bytes together")
    return raw


def decode(purpose: TokenPurpose, raw: bytes) -> TokenContent | None:
    """The content whose bytes these are; None for unknown or repeated fields, another order, a longer way to write."""
    try:
        content = _content(_fields(raw))
        return content if encode(purpose, content) == raw else None
    except (ValueError, IndexError):  # ContentRefused and UnicodeDecodeError are ValueErrors
        return None


def message_identity(content: TokenContent, normalise: Callable[[Channel, str], str]) -> bytes:
    """Equal for two tokens exactly when they are of the same message: what a message's number is derived from.

    A message is one thing said to one recipient. The thing is the reference, or the campaign when there is none; the
    recipient is the address, or the contact id when there is none. Both count although a reference alone should do:
    a brand that gives one reference to a whole mailing must not have all its recipients become one person.

    Args:
        normalise: one form for all spellings of an address (`app.privacy.hashes.normalise_address`).
    """
    thing = ("reference", content.reference) if content.reference is not None else ("campaign", content.campaign_id)
    person = ("contact", content.contact_id)
    if content.address is not None:
        person = ("address", normalise(content.channel, content.address))
    texts = (content.channel.value, thing[0], thing[1] or "", person[0], person[1] or "")
    encoded = [text.encode() for text in texts]
    return b"".join(len(item).to_bytes(4, "big") + item for item in encoded)


def _add(parts: list[bytes], tag: int, name: str, text: str | None, most: int) -> None:
    if text is not None:
        parts.append(_tagged(tag, _bytes(name, text, most)))


def _add_address(parts: list[bytes], content: TokenContent) -> None:
    address, sms = content.address, content.channel is Channel.SMS
    if address is None:
        if sms:
            parts.append(_tagged(_SMS_TAG, b""))
        return
    raw = _bytes("address", address, MAX_ADDRESS_BYTES)
    if sms and not _PHONE.fullmatch(address):
        raise ContentRefused("address", "must be a phone number in E.164 form: + and 7 to 15 digits")
    if not sms and not _EMAIL.fullmatch(address):
        raise ContentRefused("address", "must be an email address")
    parts.append(_tagged(_PHONE_TAG if sms else _EMAIL_TAG, raw))


def _add_destination(parts: list[bytes], purpose: TokenPurpose, url: str | None) -> None:
    if (url is None) == (purpose is TokenPurpose.CLICK):
        raise ContentRefused("destination", "must be given for a click, and for nothing else")
    if url is None:
        return
    raw = _bytes("destination", url, MAX_DESTINATION_BYTES)
    try:
        check_destination(url)
    except ValueError as error:
        raise ContentRefused("destination", str(error)) from None
    # Nearly every link begins so; leaving it out saves 11 characters of a short one.
    parts.append(_tagged(_HTTPS_TAG, raw[len(_HTTPS) :]) if url.startswith(_HTTPS) else _tagged(_URL_TAG, raw))


def _metadata_bytes(metadata: Mapping[str, str]) -> bytes:
    if len(metadata) > MAX_METADATA_FIELDS:
        raise ContentRefused("metadata", f"must not have more than {MAX_METADATA_FIELDS} fields")
    rows = sorted(
        (
            _bytes("metadata", key, MAX_METADATA_KEY_BYTES),
            _bytes("metadata", value, MAX_METADATA_VALUE_BYTES) if value else b"",
        )
        for key, value in metadata.items()
    )
    return b"".join(_sized(key) + _sized(value) for key, value in rows)


def _bytes(name: str, text: str, most: int) -> bytes:
    if _REFUSED.search(text):
        raise ContentRefused(name, "must not contain control characters")
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise ContentRefused(name, "must be text that UTF-8 can write") from None
    if not 1 <= len(raw) <= most:
        raise ContentRefused(name, f"must be 1 to {most} bytes long")
    return raw


def _tagged(tag: int, value: bytes) -> bytes:
    return bytes((tag,)) + _sized(value)


def _sized(value: bytes) -> bytes:
    size = len(value)
    return (bytes((size,)) if size < 0x80 else bytes((size & 0x7F | 0x80, size >> 7))) + value


def _fields(raw: bytes) -> dict[int, bytes]:
    """Raises IndexError or ValueError for what is no list of fields."""
    found: dict[int, bytes] = {}
    place = 0
    while place < len(raw):
        tag = raw[place]
        found[tag], place = _value(raw, place + 1)
    return found


def _value(raw: bytes, place: int) -> tuple[bytes, int]:
    """A value with its length in front, and the place behind it. Two bytes of length are enough for any content."""
    size = raw[place]
    place += 1
    if size >= 0x80:
        size = size & 0x7F | raw[place] << 7
        place += 1
    end = place + size
    if end > len(raw):
        raise IndexError
    return raw[place:end], end


def _content(fields: Mapping[int, bytes]) -> TokenContent:
    texts = {tag: value.decode() for tag, value in fields.items() if tag != _METADATA_TAG}
    names = {name: texts.get(tag) for tag, name in _TEXT_TAGS.items()}
    destination = _HTTPS + texts[_HTTPS_TAG] if _HTTPS_TAG in texts else texts.get(_URL_TAG)
    return TokenContent(
        address=texts.get(_PHONE_TAG, texts.get(_EMAIL_TAG)),
        channel=Channel.SMS if _PHONE_TAG in texts or _SMS_TAG in texts else Channel.EMAIL,
        destination=destination,
        metadata=_metadata(fields.get(_METADATA_TAG, b"")),
        **names,
    )


def _metadata(raw: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    place = 0
    while place < len(raw):
        key, place = _value(raw, place)
        value, place = _value(raw, place)
        found[key.decode()] = value.decode()
    return found
