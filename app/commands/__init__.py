"""The command line: one file per group (`brands`, `keys`, `db`, …), each exporting a click group as `group`."""

from __future__ import annotations

import importlib
import pkgutil

from flask import Flask


def register(app: Flask) -> None:
    """Add the `group` of every module in this folder to `flask …`."""
    for module in pkgutil.iter_modules(__path__):
        app.cli.add_command(importlib.import_module(f"{__name__}.{module.name}").group)
