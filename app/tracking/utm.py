"""Campaign parameters in a destination's query: added without touching a byte of what the author wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from app.brands.brand import Utm

_FIELD = re.compile(r"\{(campaign_id|list_id|job_source|channel)\}")
# What separates fields: `&` for every server, `;` for some. A field that either reads as the author's own is his.
_QUERY_FIELD = re.compile(r"[^&;]+")

# Queries that are signed as a whole: one more field and the server answers 403. Each set is a mark when all of its
# names are there, whatever their case.
SIGNATURES: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "signature",  # CloudFront, Google Cloud Storage V2, AWS Signature Version 2, Alibaba Cloud, home-made ones
        "x-amz-signature",  # AWS Signature Version 4
        "x-goog-signature",  # Google Cloud Storage V4
        "x-oss-signature",  # Alibaba Cloud V4
        "q-signature",  # Tencent Cloud
        "x-signature",
        "_signature",
        "sig",  # Azure shared access signatures
        "hmac",
        "key-pair-id policy",  # CloudFront, whatever the signature is called
        "key-pair-id expires",
        "hdnts",  # Akamai
        "hdnea",
        "__token__",
        "__gda__",
        "auth_key",  # Alibaba's delivery network
        "md5 expires",  # nginx secure_link
        "verify",  # Cloudflare's is_timed_hmac_valid_v0
    )
)
_SIGNING_NAMES = frozenset(name for names in SIGNATURES for name in names)


@dataclass(frozen=True, slots=True)
class UtmParameters:
    """What is added to each tracked link of one request."""

    fields: tuple[tuple[str, str], ...]
    """(`utm_…`, value), the value percent-encoded."""
    replace: bool = False
    """Ours wins over the author's own."""


def parameters_of(utm: Utm | None, about: Mapping[str, str | None]) -> UtmParameters | None:
    """A brand's parameters for one request, None when there are none.

    Args:
        about: `campaign_id`, `list_id`, `job_source`, `channel`; a parameter that comes out empty is left out.
    """
    if utm is None:
        return None
    filled = (
        (name, _FIELD.sub(lambda found: about.get(found[1]) or "", value) if "{" in value else value)
        for name, value in utm.parameters
    )
    fields = tuple((name, quote(value, safe="")) for name, value in filled if value)
    return UtmParameters(fields, utm.replace) if fields else None


def merge(url: str, parameters: UtmParameters) -> str:
    """`url` with the parameters in its query, in front of the fragment. A signed URL stays as it is.

    Args:
        url: an http(s) URL; the places of personal values (`{{name}}`) are kept like everything else.
    """
    head, mark, fragment = url.partition("#")
    path, question, query = head.partition("?")
    names = {_name(field[0]) for field in _QUERY_FIELD.finditer(query)} if query else set()
    if _is_signed(names):
        return url
    if parameters.replace:
        query = _replaced(query, dict(parameters.fields))
    added = "&".join(f"{name}={value}" for name, value in parameters.fields if name not in names)
    if added and query and query[-1] not in "&;":
        query += "&"
    if added:
        question = "?"
    return f"{path}{question}{query}{added}{mark}{fragment}"


def _is_signed(names: set[str]) -> bool:
    return not names.isdisjoint(_SIGNING_NAMES) and any(signature <= names for signature in SIGNATURES)


def _replaced(query: str, values: Mapping[str, str]) -> str:
    """Each field with one of our names gets our value, where it stands."""

    def field(found: re.Match[str]) -> str:
        name = _name(found[0])
        return f"{name}={values[name]}" if name in values else found[0]

    return _QUERY_FIELD.sub(field, query)


def _name(field: str) -> str:
    name = field.partition("=")[0]
    return (unquote(name) if "%" in name else name).lower()
