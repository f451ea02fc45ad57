"""A store of token keys that can be away or stuck, and what the tests of token keys share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from app.errors import StoreUnavailable
from app.models.brand_key import BrandKey, KeyKind
from app.privacy.memory import MemoryBrandKeys
from app.privacy.token_keys import TokenKeys
from app.tracking.tokens import TokenContent, TokenPurpose

OLD = ("k1", bytes(range(32)))
NEW = ("k2", bytes(range(32, 64)))
OPEN, CLICK = TokenPurpose.OPEN, TokenPurpose.CLICK
CONTENT = TokenContent(reference="m-1", address="ada@mail.example")
NEVER = 3600.0
"""Seconds between regular looks at the store, where a test wants only those it causes."""


class Store(MemoryBrandKeys):
    """Counts looks, and can be away or stuck."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.away = False
        self.free = threading.Event()
        self.free.set()

    def find_all(self, kind: KeyKind) -> Sequence[BrandKey]:
        self.looks += 1
        assert self.free.wait(60)
        if self.away:
            raise StoreUnavailable("away")
        return super().find_all(kind)

    def add(self, key: BrandKey) -> BrandKey:
        if self.away:
            raise StoreUnavailable("away")
        return super().add(key)


Process = Callable[..., TokenKeys]
"""The fixture `process`."""


def token_of(keys: TokenKeys, brand_id: str = "alder", content: TokenContent = CONTENT) -> str:
    return keys.seal_many(brand_id, OPEN, [content])[0]


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
