"""One API key per brand for local use: made by the CLI at the first start, remembered in the secrets folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from local.secret_files import write_private

Flask = Callable[..., str]
"""Runs `flask …` in the copy and gives back its stdout."""


class LocalKeys:
    """The plaintext keys by brand. They are of use to nobody else: the copy listens on the loopback address."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.by_brand: dict[str, str] = {}

    def load(self) -> bool:
        """Take the keys of an earlier start; whether there are any."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        self.by_brand = {str(brand): str(key) for brand, key in content.items()}
        return bool(self.by_brand)

    def make_all(self, flask: Flask) -> None:
        """Make a key for every brand."""
        self._take(flask("keys", "create", "--all-brands", "--scopes", "all", "--name", "local", "--json"))

    def make_missing(self, brands: set[str], flask: Flask) -> None:
        """Make keys for brands that came into brands.yaml since, and forget those that left."""
        self.by_brand = {brand: key for brand, key in self.by_brand.items() if brand in brands}
        for brand in sorted(brands - self.by_brand.keys()):
            self._take(flask("keys", "create", "--brand", brand, "--scopes", "all", "--name", "local", "--json"))

    def _take(self, output: str) -> None:
        made = json.loads(output)
        for row in made if isinstance(made, list) else [made]:
            self.by_brand[row["brand_id"]] = row["key"]
        write_private(self._path, json.dumps(self.by_brand, indent=2) + "\n")
