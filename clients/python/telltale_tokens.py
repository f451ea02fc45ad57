"""Mints Telltale's sealed tokens offline: links that carry their own content, encrypted under your brand's key.

One file, Python 3.9 or newer, `pip install cryptography`. Copy it into your sender:

    minter = Minter(key, "https://click.alder.example")     # key: what `flask tokens key --brand …` printed
    person = {"reference": "spring-000123", "email": "ada@mail.example", "campaign_id": "spring"}
    minter.open_url(**person)
    minter.click_url("https://www.alder.example/jobs/1", **person)
    minter.unsubscribe_url(**person)

Give the same reference and address in all links of one message: together they say which message a hit belongs to.
The format is described in Telltale's docs/tokens.md.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

from cryptography.hazmat.primitives.ciphers.aead import AESSIV

__all__ = ["Minter"]

_VERSION = 1
_MAX_CONTENT_BYTES = 1031
_KEY = re.compile(r"ttk_([a-z0-9][a-z0-9_-]{0,39})_([1-9][0-9]{0,4})_([A-Za-z0-9_-]{86})", re.ASCII)
_REFUSED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_URL = re.compile(r"[hH][tT][tT][pP][sS]?://[^/?#@\s\\]+(?:[/?#][^\\]*)?")
_TEXT_BYTES = 128
_DESTINATION_BYTES = 1024


class Minter:
    """Makes the links of one brand. Thread-safe; the same arguments give the same link.

    Every method takes these, all of them text and optional, but a link needs a reference or an address:

        reference     your own name of this message to this recipient
        email, phone  the recipient's address; a phone number in E.164 form makes it an SMS, as does sms=True
        contact_id, campaign_id, list_id, job_source
        metadata      a mapping of text to text, 16 fields at most

    and raises ValueError for what a token cannot say. The message never quotes a value.

    Args:
        key: `ttk_…`, which is a secret: whoever has it can make links of your brand.
        base_url: scheme and host of your tracking host, without a path.

    Raises:
        ValueError: the key or the URL has another form.
    """

    def __init__(self, key: str, base_url: str) -> None:
        parts = _KEY.fullmatch(key)
        if parts is None or int(parts[2]) > 0xFFFF:
            raise ValueError("not a token key: it begins with ttk_ and is copied whole")
        if not re.fullmatch(r"https?://[^/?#@\s\\]+/?", base_url):
            raise ValueError("the base URL is a scheme and a host, without a path")
        self._base = base_url.rstrip("/")
        self._brand = parts[1].encode("ascii")
        self._header = bytes((_VERSION,)) + int(parts[2]).to_bytes(2, "big")
        self._aead = AESSIV(base64.urlsafe_b64decode(parts[3] + "=="))

    def open_url(self, **about: object) -> str:
        """The address of the pixel."""
        return f"{self._base}/o/s/{self.token('o', **about)}.gif"

    def click_url(self, destination: str, **about: object) -> str:
        """A link that leads to `destination`, which must be an address your brand allows."""
        return f"{self._base}/c/s/{self.token('c', destination=destination, **about)}"

    def unsubscribe_url(self, **about: object) -> str:
        """The page with the button, and what `List-Unsubscribe` takes."""
        return f"{self._base}/u/s/{self.token('u', **about)}"

    def fields(self, **about: object) -> str:
        """What goes behind `?p=` of a pixel's address, for what must not stand there in the clear."""
        return self.token("p", **about)

    def token(self, purpose: str, **about: object) -> str:
        """The token alone. `purpose` is o (open), c (click), u (unsubscribe) or p (fields of a pixel)."""
        if purpose not in ("o", "c", "u", "p"):
            raise ValueError("the purpose is o, c, u or p")
        bound_to = self._header + purpose.encode("ascii") + self._brand
        sealed = self._aead.encrypt(_content(purpose, **about), [bound_to])  # type: ignore[arg-type]
        return base64.urlsafe_b64encode(self._header + sealed).decode("ascii").rstrip("=")


def _content(
    purpose: str,
    *,
    reference: str | None = None,
    email: str | None = None,
    phone: str | None = None,
    sms: bool = False,
    contact_id: str | None = None,
    campaign_id: str | None = None,
    list_id: str | None = None,
    job_source: str | None = None,
    destination: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """The fields as bytes: tag, length, value, in the order of the tags."""
    fields = [_text(1, "reference", reference), *_address(email, phone, sms)]
    ids = {"contact_id": contact_id, "campaign_id": campaign_id, "list_id": list_id, "job_source": job_source}
    fields += [_text(tag, name, text) for tag, (name, text) in enumerate(ids.items(), start=5)]
    if (destination is None) == (purpose == "c"):
        raise ValueError("destination: must be given for a click, and for nothing else")
    if destination is not None:
        fields.append(_destination(destination))
    if metadata:
        fields.append(_field(11, _metadata(metadata)))
    if purpose != "p" and reference is None and email is None and phone is None:
        raise ValueError("reference: must be given, or an address")
    raw = b"".join(fields)
    if not 1 <= len(raw) <= _MAX_CONTENT_BYTES:
        raise ValueError(f"the fields must be 1 to {_MAX_CONTENT_BYTES} bytes long together")
    return raw


def _text(tag: int, name: str, text: str | None) -> bytes:
    return b"" if text is None else _field(tag, _bytes(name, text, _TEXT_BYTES))


def _address(email: str | None, phone: str | None, sms: bool) -> list[bytes]:
    if email is not None and (phone is not None or sms):
        raise ValueError("a message goes to an email address or to a phone number, not to both")
    if email is not None:
        if not _EMAIL.fullmatch(email):
            raise ValueError("email: must be an email address")
        return [_field(2, _bytes("email", email, 254))]
    if phone is not None:
        if not _PHONE.fullmatch(phone):
            raise ValueError("phone: must be in E.164 form, + and 7 to 15 digits")
        return [_field(3, phone.encode("ascii"))]
    return [_field(4, b"")] if sms else []


def _destination(url: str) -> bytes:
    raw = _bytes("destination", url, _DESTINATION_BYTES)
    if not _URL.fullmatch(url) or url.endswith(" "):
        raise ValueError("destination: must be an http or https address without a user name or a backslash")
    return _field(9, raw[8:]) if url.startswith("https://") else _field(10, raw)


def _metadata(metadata: Mapping[str, str]) -> bytes:
    if len(metadata) > 16:
        raise ValueError("metadata: has more than 16 fields")
    rows = sorted(
        (_bytes("metadata", key, 64), _bytes("metadata", value, 256) if value else b"")
        for key, value in metadata.items()
    )
    return b"".join(_sized(key) + _sized(value) for key, value in rows)


def _bytes(name: str, text: str, most: int) -> bytes:
    if _REFUSED.search(text):
        raise ValueError(f"{name}: must not contain control characters")
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name}: must be text that UTF-8 can write") from None
    if not 1 <= len(raw) <= most:
        raise ValueError(f"{name}: must be 1 to {most} bytes long")
    return raw


def _field(tag: int, value: bytes) -> bytes:
    return bytes((tag,)) + _sized(value)


def _sized(value: bytes) -> bytes:
    size = len(value)
    return (bytes((size,)) if size < 0x80 else bytes((size & 0x7F | 0x80, size >> 7))) + value
