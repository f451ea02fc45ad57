"""Keeps an endpoint's connections from one run to the next. Never shared: each endpoint of each brand has its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.models.delivery import Endpoint
from app.webhooks.address_guard import AddressGuard
from app.webhooks.transport import Sender

IDLE_SECONDS = 30.0
"""How long an endpoint's connections wait for its next run."""
MOST_IDLE = 256


@dataclass(slots=True)
class _Kept:
    sender: Sender
    made_for: tuple[str, int]
    used_at: float
    users: int = 0


class Senders:
    """For one event loop."""

    def __init__(self, guard: AddressGuard, *, allow_http: bool) -> None:
        self._guard = guard
        self._allow_http = allow_http
        self._kept: dict[tuple[str, str], _Kept] = {}

    @asynccontextmanager
    async def of(self, endpoint: Endpoint) -> AsyncIterator[Sender]:
        """The endpoint's sender, with whatever connections it has open."""
        key, made_for = (endpoint.brand_id, endpoint.id), (endpoint.url, endpoint.max_in_flight)
        kept = self._kept.get(key)
        if kept is None or (kept.made_for != made_for and not kept.users):
            if kept is not None:
                await self._close(key)
            sender = Sender(self._guard, allow_http=self._allow_http, max_in_flight=endpoint.max_in_flight)
            await sender.__aenter__()
            kept = self._kept[key] = _Kept(sender, made_for, self._now())
        kept.users += 1
        try:
            yield kept.sender
        finally:
            kept.users -= 1
            kept.used_at = self._now()
            await self.close_idle()

    async def close_idle(self) -> None:
        """Close what nobody has used for a while, and the longest unused when there are too many."""
        idle = sorted((kept.used_at, key) for key, kept in self._kept.items() if not kept.users)
        too_many = max(0, len(idle) - MOST_IDLE)
        for place, (used_at, key) in enumerate(idle):
            if place < too_many or self._now() - used_at > IDLE_SECONDS:
                await self._close(key)

    async def close(self) -> None:
        """Close everything; no run is under way any more."""
        for key in tuple(self._kept):
            await self._close(key)

    async def _close(self, key: tuple[str, str]) -> None:
        kept = self._kept.pop(key)
        await kept.sender.__aexit__(None, None, None)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
