"""Keys in memory: for tests and measurements that need a keyring or a vault and no MongoDB. Contracts as storage's."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime

from app.models.brand_key import BrandKey, KeyKind
from app.models.recipient_key import RecipientKey


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

    def renew(self, old: BrandKey, new: BrandKey) -> bool:
        place = (old.brand_id, old.kind, old.number)
        with self._lock:
            if self._keys.get(place) != old:
                return False
            self._keys[place] = new
            return True

    def find_all(self, kind: KeyKind) -> Sequence[BrandKey]:
        with self._lock:
            return [key for key in self._keys.values() if key.kind is kind]

    def remove(self, brand_id: str, kind: KeyKind, number: int) -> bool:
        with self._lock:
            return self._keys.pop((brand_id, kind, number), None) is not None


class MemoryRecipientKeys:
    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], RecipientKey] = {}
        self._lock = threading.Lock()

    def find_by_hash(self, brand_id: str, hashes: Iterable[str]) -> list[RecipientKey]:
        with self._lock:
            return [key for item in hashes if (key := self._keys.get((brand_id, item))) is not None]

    def find(self, key_ids: Iterable[bytes]) -> list[RecipientKey]:
        wanted = set(key_ids)
        with self._lock:
            return [key for key in self._keys.values() if key.id in wanted]

    def insert(self, keys: Sequence[RecipientKey], at: datetime) -> set[int]:
        with self._lock:
            return {
                place
                for place, key in enumerate(keys)
                if self._keys.setdefault((key.brand_id, key.address_hash), key) is not key
            }

    def delete(self, brand_id: str, address_hash: str) -> bool:
        with self._lock:
            return self._keys.pop((brand_id, address_hash), None) is not None
