"""Brand keys in memory: for tests and measurements that need a keyring and no MongoDB. Same contract as storage's."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from app.models.brand_key import BrandKey, KeyKind


class MemoryBrandKeys:
    def __init__(self) -> None:
        self._keys: dict[tuple[str, KeyKind, int], BrandKey] = {}
        self._lock = threading.Lock()

    def find(self, brand_id: str) -> Sequence[BrandKey]:
        with self._lock:
            return [key for key in self._keys.values() if key.brand_id == brand_id]

    def add(self, key: BrandKey) -> BrandKey:
        with self._lock:
            return self._keys.setdefault((key.brand_id, key.kind, key.number), key)

    def find_all(self, kind: KeyKind) -> Sequence[BrandKey]:
        with self._lock:
            return [key for key in self._keys.values() if key.kind is kind]

    def remove(self, brand_id: str, kind: KeyKind, number: int) -> bool:
        with self._lock:
            return self._keys.pop((brand_id, kind, number), None) is not None
