"""The command line: one file per group (`brands`, `keys`, `db`, …), each exporting a click group as `group`.

`flask --app app.commands …` is the command line alone, without the web: it opens no journal, and a command that needs
no settings or servers (`brands check`) runs without them.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from flask import Flask
from werkzeug.local import LocalProxy

from app.services import Services, build_services
from config.settings import load_settings


def register(app: Flask) -> None:
    """Add the `group` of every module in this folder to `flask …`."""
    for module in pkgutil.iter_modules(__path__):
        app.cli.add_command(importlib.import_module(f"{__name__}.{module.name}").group)


def create_app() -> Flask:
    """An application that is only a command line; its services are made when a command first asks for them."""

    @cache
    def services() -> Services:
        return build_services(load_settings(), role="cli")

    app = Flask("telltale", static_folder=None)
    app.extensions["telltale"] = LocalProxy(services)
    register(app)
    return app
