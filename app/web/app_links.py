"""`/.well-known/…` on the tracking hosts: which apps of a brand may open its tracked links by themselves.

What the documents say is in brands.yaml (`app_links`), how they are written in `app.brands.load`.
"""

from __future__ import annotations

from flask import Flask, Response, abort, request

from app.brands import Brand
from app.services import Services

# Apple's servers and Google Play fetch it now and then, phones at installation; a change may take an hour.
_CACHE_CONTROL = "public, max-age=3600"


def register(flask_app: Flask, services: Services) -> None:
    """Add both documents. Neither is ever a redirect: Apple does not follow one."""

    @flask_app.get("/.well-known/apple-app-site-association")
    def apple_app_site_association() -> Response:
        brand = _brand(services)
        return _document(brand.app_links.apple if brand else None)

    @flask_app.get("/.well-known/assetlinks.json")
    def assetlinks() -> Response:
        brand = _brand(services)
        return _document(brand.app_links.android if brand else None)


def _brand(services: Services) -> Brand | None:
    return services.brands.by_host(request.environ.get("HTTP_HOST", ""))


def _document(body: bytes | None) -> Response:
    if body is None:
        abort(404)
    return Response(body, content_type="application/json", headers={"Cache-Control": _CACHE_CONTROL})
