"""The `archive:` of a brand in brands.yaml: the brand's own bucket, and the keys to it by reference."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from app.brands.endpoint_schema import EndpointRules, Reference
from app.brands.strict import Strict
from app.lib.http_url import check_endpoint_url
from app.models.archive import ArchivePlace

_BUCKET = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9](?:[a-z0-9-]|\.(?=[a-z0-9])){1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_PREFIX = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.=-]*/)+")
_KEY = re.compile(r"[!-~]{1,256}")


def _bucket(text: str) -> str:
    if not _BUCKET.fullmatch(text):
        raise ValueError("must be a bucket's name: 3 to 63 lower-case letters, digits, - and .")
    return text


def _region(text: str) -> str:
    if not _REGION.fullmatch(text):
        raise ValueError("must be a region such as eu-central-1")
    return text


def _prefix(text: str) -> str:
    if text and not _PREFIX.fullmatch(text):
        raise ValueError("must be folders such as telltale/events/, ending with a slash")
    return text


def _endpoint_url(text: str, info: ValidationInfo) -> str:
    rules = info.context if isinstance(info.context, EndpointRules) else EndpointRules()
    url = check_endpoint_url(
        text, allow_http=rules.allow_http, extra_ports=rules.extra_ports, allow_networks=rules.allow_networks
    )
    if not url.endswith("/") or url.count("/") != 3:
        raise ValueError("must have no path and no query: the bucket is named by itself")
    return url


class ArchiveSchema(Strict):
    bucket: Annotated[str, AfterValidator(_bucket)]
    region: Annotated[str, AfterValidator(_region)]
    prefix: Annotated[str, Field(max_length=200), AfterValidator(_prefix)] = ""
    endpoint_url: Annotated[str, AfterValidator(_endpoint_url)] | None = None
    """Of a store that speaks S3 and is not Amazon's; by the rules of webhook URLs."""
    access_key_id: Reference | None = None
    secret_access_key: Reference | None = None
    """Neither: the role of the machine."""

    @model_validator(mode="after")
    def _keys_come_together(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key come together or not at all")
        if self.endpoint_url is not None and self.access_key_id is None:
            # What the machine's role signs is for Amazon's eyes only.
            raise ValueError("endpoint_url needs access_key_id and secret_access_key")
        return self


def archive_place(schema: ArchiveSchema, read: Callable[[str], str | None]) -> ArchivePlace:
    """Where a brand's archive is, with the keys behind the references.

    Args:
        read: the text behind a reference; None when references are not followed. Raises `ValueError`, one sentence.

    Raises:
        ValueError: one sentence that names a reference, never what is behind it.
    """
    return ArchivePlace(
        bucket=schema.bucket,
        region=schema.region,
        prefix=schema.prefix,
        endpoint_url=schema.endpoint_url,
        access_key_id=_key(schema.access_key_id, read),
        secret_access_key=_key(schema.secret_access_key, read),
    )


def _key(reference: str | None, read: Callable[[str], str | None]) -> str | None:
    text = None if reference is None else read(reference)
    if text is not None and not _KEY.fullmatch(text):
        raise ValueError(f"{reference} must be a key of visible characters on one line")
    return text
