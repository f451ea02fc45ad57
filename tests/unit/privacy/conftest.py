"""Processes that share a store of token keys in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app.privacy.token_keys import TokenKeys
from tests.unit.privacy.token_processes import NEVER, OLD, Process, Store, eventually


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def process(store: Store, tmp_path: Path) -> Iterator[Process]:
    """Makes the keys of one more process of the deployment: loaded, and without regular looks unless told."""
    made: list[TokenKeys] = []

    def start(
        *, masters: Sequence[tuple[str, bytes]] = (OLD,), file: Path | None = None, seconds: float = NEVER
    ) -> TokenKeys:
        keys = TokenKeys(masters, store, file, refresh_seconds=seconds)
        made.append(keys)
        keys.load()
        # Its thread has had its first look, so that what a test counts are the looks that it causes.
        eventually(lambda: keys._refresher._ended > 0)
        return keys

    yield start
    store.free.set()
    for keys in made:
        keys.close()
