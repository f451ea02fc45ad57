"""The front's world, for tests of privacy."""

from __future__ import annotations

from tests.integration.front.conftest import change_brand

__all__ = ["change_brand"]
