"""The shape of brands.yaml: one Pydantic model per mapping, strict, no unknown fields. `load` makes brands of it."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from app.brands.archive_schema import ArchiveSchema
from app.brands.bot_schema import BotsSchema, ThresholdsSchema
from app.brands.endpoint_schema import EVENT_TYPES as EVENT_TYPES  # noqa: PLC0414 - part of the shape
from app.brands.endpoint_schema import EndpointRules as EndpointRules  # noqa: PLC0414
from app.brands.endpoint_schema import EndpointSchema, EventQueueSchema
from app.brands.strict import Strict
from app.lib.http_url import is_public_domain, normalise_domain
from app.models.block import Channel

_BRAND_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_METADATA_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
# Narrower than RFC 5321 on purpose: the address goes unescaped into a mailto: URL inside a header.
_MAILTO_LOCAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]{0,63}")
_RESERVED_METADATA_KEYS = frozenset({"p"})  # the sealed token of a pixel URL
_UTM_VALUE = re.compile(r"[^\x00-\x20\x7f<>\"]{1,200}")
_UTM_FIELD = re.compile(r"\{([^{}]*)\}")
UTM_FIELDS = frozenset({"campaign_id", "list_id", "job_source", "channel"})
_APPLE_APP = re.compile(r"[A-Z0-9]{10}\.[A-Za-z0-9.-]{1,155}")
_ANDROID_PACKAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)+")
_FINGERPRINT = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2}){31}")


def _brand_id(text: str) -> str:
    if not _BRAND_ID.fullmatch(text):
        raise ValueError("must be 1 to 40 lower-case letters, digits, - or _, beginning with a letter or digit")
    return text


def _domain(text: str) -> str:
    if text.startswith("*."):
        raise ValueError("must not begin with *. (a domain covers its subdomains)")
    if not text.isascii() or re.fullmatch(r"[A-Za-z0-9._-]+", text):
        name = normalise_domain(text)
        if "." in name:
            return name
    raise ValueError("must be a domain name such as shop.example, without scheme, port or path")


def tracking_host(text: str) -> str:
    """A tracking host as lower-case A-labels.

    Raises:
        ValueError: one sentence.
    """
    name = _domain(text)
    if not is_public_domain(name):
        raise ValueError("must be a public domain name, without a private suffix such as .local")
    return name


def _line_of_text(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text):
        raise ValueError("must be one line without control characters")
    return text


def _colour(text: str) -> str:
    if not _COLOUR.fullmatch(text):
        raise ValueError('must be a colour such as "#1f4e79" (in quotes: # begins a comment)')
    return text.lower()


def _mailto(text: str) -> str:
    local, _, domain = text.rpartition("@")
    if not _MAILTO_LOCAL.fullmatch(local):
        raise ValueError("must be a plain email address such as unsubscribe@shop.example")
    return f"{local}@{_domain(domain)}"


def _metadata_key(text: str) -> str:
    if not _METADATA_KEY.fullmatch(text):
        raise ValueError("must be 1 to 32 letters, digits, - or _, beginning with a letter")
    if text in _RESERVED_METADATA_KEYS:
        raise ValueError("must not be p: that query key carries a sealed token")
    return text


def check_utm_value(text: str) -> str:
    """A UTM value with its fields in braces.

    Raises:
        ValueError: one sentence.
    """
    if not _UTM_VALUE.fullmatch(text):
        raise ValueError("must be 1 to 200 characters without blanks, quotes or angle brackets")
    unknown = set(_UTM_FIELD.findall(text)) - UTM_FIELDS
    if unknown or re.search(r"[{}]", _UTM_FIELD.sub("", text)):
        raise ValueError(f"may have only these in braces: {', '.join(sorted(UTM_FIELDS))}")
    return text


def _matching(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"must be {what}")
        return text

    return AfterValidator(check)


def _app_path(text: str) -> str:
    if not text.startswith("/") or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be a path such as /c/* (ASCII, beginning with /)")
    return text


Domain = Annotated[str, AfterValidator(_domain)]
Line = Annotated[str, Field(max_length=200), AfterValidator(_line_of_text)]


class PixelSchema(Strict):
    header: bool = False
    footer: bool = True


class TrackingSchema(Strict):
    opens: bool = True
    clicks: bool = True


UtmValue = Annotated[str, AfterValidator(check_utm_value)]


class UtmSchema(Strict):
    source: UtmValue | None = None
    medium: UtmValue | None = None
    campaign: UtmValue | None = None
    term: UtmValue | None = None
    content: UtmValue | None = None
    existing: Literal["keep", "replace"] = "keep"


class LinksSchema(Strict):
    untracked_domains: Annotated[tuple[Domain, ...], Field(max_length=500)] = ()
    app_domains: Annotated[tuple[Domain, ...], Field(max_length=500)] = ()
    blocked_domains: Annotated[tuple[Domain, ...], Field(max_length=5000)] = ()
    protocol_relative: Literal["leave", "https"] = "leave"
    vml: bool = False
    utm: UtmSchema | None = None
    erased: Literal["destination", "page"] = "destination"


class AppleAppSchema(Strict):
    app_id: Annotated[str, _matching(_APPLE_APP, "a team id, a dot and a bundle id: ABCDE12345.example.shop")]
    paths: Annotated[
        tuple[Annotated[str, Field(max_length=200), AfterValidator(_app_path)], ...], Field(min_length=1, max_length=50)
    ] = ("/c/*",)


class AndroidAppSchema(Strict):
    package: Annotated[str, Field(max_length=200), _matching(_ANDROID_PACKAGE, "a package name such as example.shop")]
    fingerprints: Annotated[
        tuple[Annotated[str, _matching(_FINGERPRINT, "a SHA-256 fingerprint: 32 pairs AB:CD:…")], ...],
        Field(min_length=1, max_length=10),
    ]


class AppLinksSchema(Strict):
    apple: Annotated[tuple[AppleAppSchema, ...], Field(max_length=20)] = ()
    android: Annotated[tuple[AndroidAppSchema, ...], Field(max_length=20)] = ()


def _word(text: str) -> str:
    if not any(char.isalnum() for char in text):
        raise ValueError("must have a letter or a digit")
    return text


class SmsSchema(Strict):
    stop_words: Annotated[
        tuple[Annotated[Line, Field(max_length=40), AfterValidator(_word)], ...], Field(max_length=50)
    ] = ()


Days = Annotated[int, Field(ge=1, le=3650)]


class RetentionSchema(Strict):
    """Days; what is not said is `retention_days`."""

    messages: Days | None = None
    sent: Days | None = None
    opened: Days | None = None
    clicked: Days | None = None
    unsubscribed: Days | None = None
    deliveries: Annotated[int, Field(ge=1, le=365)] = 30


class UnsubscribeSchema(Strict):
    mailto: Annotated[str, AfterValidator(_mailto)] | None = None
    scope: Literal["list", "brand"] = "list"


class PageSchema(Strict):
    title: Line | None = None
    colour: Annotated[str, AfterValidator(_colour)] | None = None
    message: Line | None = None
    button: Annotated[Line, Field(max_length=40)] | None = None
    done: Line | None = None


class Shared(Strict):
    """What `defaults` may say for every brand, and each brand for itself."""

    channels: Annotated[frozenset[Channel], Field(min_length=1)] = frozenset({Channel.EMAIL})
    destinations: Annotated[tuple[Domain, ...], Field(max_length=500)] = ()
    pixel: PixelSchema = PixelSchema()
    tracking: TrackingSchema = TrackingSchema()
    metadata_keys: Annotated[frozenset[Annotated[str, AfterValidator(_metadata_key)]], Field(max_length=32)] = (
        frozenset()
    )
    client_address: Literal["none", "prefix", "full"] = "none"
    unsubscribe: UnsubscribeSchema = UnsubscribeSchema()
    page: PageSchema = PageSchema()
    links: LinksSchema = LinksSchema()
    sms: SmsSchema = SmsSchema()
    bots: BotsSchema = BotsSchema()
    retention_days: Days = 395
    retention: RetentionSchema = RetentionSchema()


class BrandSchema(Shared):
    id: Annotated[str, AfterValidator(_brand_id)]
    name: Annotated[Line, Field(max_length=100)]
    tracking_hosts: Annotated[
        tuple[Annotated[str, AfterValidator(tracking_host)], ...], Field(min_length=1, max_length=20)
    ]
    sms_host: Domain | None = None
    endpoints: Annotated[tuple[EndpointSchema, ...], Field(max_length=20)] = ()
    event_queue: EventQueueSchema | None = None
    archive: ArchiveSchema | None = None
    app_links: AppLinksSchema = AppLinksSchema()

    @model_validator(mode="after")
    def _sms_host_is_ours(self) -> Self:
        if self.sms_host is not None and self.sms_host not in self.tracking_hosts:
            raise ValueError("sms_host must be one of tracking_hosts")
        return self


class FileSchema(Strict):
    version: Literal[1]
    defaults: Shared = Shared()
    brands: Annotated[tuple[dict[str, Any], ...], Field(min_length=1, max_length=10_000)]
    """Each is validated as a `BrandSchema` once the defaults are merged in."""


MODELS: tuple[type[BaseModel], ...] = (
    FileSchema,
    BrandSchema,
    EndpointSchema,
    PageSchema,
    PixelSchema,
    TrackingSchema,
    UnsubscribeSchema,
    LinksSchema,
    UtmSchema,
    SmsSchema,
    BotsSchema,
    ThresholdsSchema,
    RetentionSchema,
    AppLinksSchema,
    AppleAppSchema,
    AndroidAppSchema,
    ArchiveSchema,
)
"""For suggestions when a field is misspelt."""
