"""Ingest asks the front's world for what it needs of it."""

from __future__ import annotations

from tests.integration.front.conftest import change_brand

__all__ = ["change_brand"]
