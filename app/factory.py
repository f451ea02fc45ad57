"""Makes the Flask app: the API, health, metrics and the command line; the front is wrapped around it."""

from __future__ import annotations

from flask import Flask, Response

from app import commands
from app.services import Services, build_services
from app.web import api, app_links, health, metrics
from app.web.tracking.answers import COMMON
from app.web.tracking.front import Front
from config.logging import setup_logging
from config.sentry import setup_sentry
from config.settings import Settings, load_settings

# Larger than any body the API takes, so that its own limit answers with a clear problem document.
_MAX_BODY_BYTES = 12 * 1024 * 1024


def create_app(settings: Settings | None = None, services: Services | None = None) -> Flask:
    """A Flask app that can be handed its world.

    Args:
        settings: from the environment by default.
        services: what a test wants to share; made here by default.
    """
    if services is None:
        settings = settings or load_settings()
        services = build_services(settings, role="web")
    settings = services.settings
    setup_logging(settings)
    setup_sentry(settings)
    app = Flask("telltale", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY_BYTES
    app.extensions["telltale"] = services
    api.register(app, services)
    health.register(app, services)
    metrics.register(app, services)
    app_links.register(app, services)
    commands.register(app)
    app.after_request(_add_headers)
    return app


def _add_headers(response: Response) -> Response:
    """What every answer says that does not say otherwise, a 404 for a path that nobody knows too."""
    for name, value in (*COMMON, ("X-Content-Type-Options", "nosniff")):
        response.headers.setdefault(name, value)
    return response


def add_front(app: Flask, services: Services) -> None:
    """Wrap the front around the app. Opens this process's journal segment with the first record."""
    app.wsgi_app = Front(  # type: ignore[method-assign]  # the documented way to wrap middleware around Flask
        app.wsgi_app,
        codes=services.codes,
        blocks=services.block_cache,
        brands=services.brands,
        journal=services.journal,
        tokens=services.token_keys,
        values=services.messages,
        unsubscribes=services.unsubscribes,
        count=metrics.count_hit,
    )
